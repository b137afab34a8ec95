package workspace

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/registry"
)

// What was there is known to the audit log, too: a record that it says was
// created and never deleted must be there, and what is there must have a line
// about its creation.

// life is what the audit log says of one resource. A change whose answer was
// lost counts as made where that excuses and as not made where it accuses.
type life struct {
	begun   bool // somebody set about creating it
	created bool // and it was created
	updated bool // it was changed, so it was there
	deleted bool // it was deleted, or may be
}

// checkAudit reads the audit log, and looks for the records of what it says was
// made. It comes last: a deletion leaves its line before anything goes, so that
// what is gone by now and has no such line is lost.
func (c *checker) checkAudit() error {
	lives, err := c.lives(func(key string, line int, err error) { c.problem(key, "line %d: %v", line, err) })
	if err != nil {
		return err
	}
	for key := range c.there {
		if isAudited(key) && !lives[key].begun {
			c.problem(key, "the audit log has no line about its creation: a part of the log is missing")
		}
	}
	for _, g := range c.gaps {
		if lives[g.record].deleted {
			c.note(g.Key, "%s: the record is being deleted, or that was cut off and can be repeated", g.Problem.Problem)
			continue
		}
		c.report.Problems = append(c.report.Problems, g.Problem)
	}
	return c.checkMissing(lives)
}

// checkMissing looks for the records that the audit log says were made. One
// that was changed since was certainly there. One that was only created may
// never have been, when its process died before it wrote it.
func (c *checker) checkMissing(lives map[string]life) error {
	missing := false
	for key, l := range lives {
		if l.deleted || !l.created || c.there[key] {
			delete(lives, key)
			continue
		}
		there, err := c.exists(key)
		if err != nil {
			return err
		}
		if there {
			delete(lives, key)
		}
		missing = missing || !there
	}
	if !missing {
		return nil
	}
	now, err := c.lives(func(string, int, error) {}) // deleted since, perhaps
	if err != nil {
		return err
	}
	for key, l := range lives {
		switch {
		case now[key].deleted:
		case l.updated:
			c.problem(key, "the record is missing: the audit log has its creation and changes, and no deletion")
		default:
			c.note(key, "it is not there: its creation was cut off, or the record was lost before it was ever changed")
		}
	}
	return nil
}

// lives gathers what the audit log says, by the keys of records.
func (c *checker) lives(damaged func(key string, line int, err error)) (map[string]life, error) {
	lives := map[string]life{}
	for entries, err := range core.AuditDays(c.ctx, c.h, time.Time{}, damaged) {
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			key := recordKey(e.Kind, e.Name)
			if key == "" {
				continue
			}
			l, done := lives[key], e.Failure == ""
			l.begun = l.begun || e.Op == "create"
			l.created = l.created || e.Op == "create" && done
			l.updated = l.updated || e.Op == "update" && done
			l.deleted = l.deleted || e.Op == "delete" && !refused(e.Failure)
			lives[key] = l
		}
	}
	return lives, nil
}

// refused tells whether a failure means that nothing was done: of the others
// only the answer may have been lost.
func refused(failure string) bool {
	for _, class := range []error{azml.ErrConflict, azml.ErrDenied, azml.ErrInvalid, azml.ErrUnsupported} {
		if failure == class.Error() {
			return true
		}
	}
	return false
}

// isAudited tells whether the creation of what has its record at this key
// leaves a line in the audit log.
func isAudited(object string) bool {
	for _, pattern := range []string{key, "experiments/*.json", "runs/*/run.json", "models/*.json", "models/*/*.json", "logged-models/*.json",
		"environments/*/*.json", "compute/*.json", "datastores/*.json", "datasets/*/*.json", "endpoints/*.json", "tokens/*.json"} {
		if ok, err := path.Match(pattern, object); ok && err == nil {
			return true
		}
	}
	return false
}

// recordKey gives the key of the record of what the audit log calls so, "" for
// what has none or leaves it behind when it is deleted.
func recordKey(resource, name string) string {
	switch resource {
	case kind:
		return key
	case "experiment":
		return "experiments/" + name + ".json"
	case "run":
		return history.Ref(name).Key
	case "model":
		return modelKey(name)
	case "registered model":
		return registry.Ref(name).Key
	case "logged model":
		return history.LoggedModelRef(name).Key
	case "environment":
		if name, version, ok := strings.Cut(name, ":"); ok {
			return "environments/" + name + "/" + version + ".json"
		}
	case "compute target":
		return "compute/" + name + ".json"
	case "datastore":
		return "datastores/" + name + ".json"
	case "dataset":
		return datasetKey(name)
	case "endpoint":
		return core.EndpointPrefix + name + ".json"
	case "token":
		return "tokens/" + name + ".json"
	}
	return ""
}

// modelKey gives the key of the record of the model that id names as
// NAME:VERSION, "" when it does not.
func modelKey(id string) string {
	name, text, ok := strings.Cut(id, ":")
	version := 0
	if _, err := fmt.Sscanf(text, "%d", &version); !ok || err != nil || version < 1 {
		return ""
	}
	return registry.Versions(name).Key(version)
}

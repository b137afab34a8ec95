package workspace

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
)

// What was there is known to the audit log, too: a record that it says was
// created and never deleted must be there.

// life is what the audit log says of one resource.
type life struct{ created, updated, deleted bool }

// checkAudit reads the audit log, and looks for the records of what it says was
// made. A record that was changed since was certainly there. One that was only
// created may never have been, when its process died before it wrote it.
func (c *checker) checkAudit() error {
	lives, err := c.lives(func(key string, line int, err error) { c.problem(key, "line %d: %v", line, err) })
	if err != nil {
		return err
	}
	var missing []string
	for _, key := range slices.Sorted(maps.Keys(lives)) {
		if l := lives[key]; l.deleted || !l.created || c.seen[key] {
			continue
		}
		there, err := c.exists(key)
		if err != nil {
			return err
		}
		if !there {
			missing = append(missing, key)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	// Deleted meanwhile, perhaps: that leaves its line before the record goes.
	if lives, err = c.lives(func(string, int, error) {}); err != nil {
		return err
	}
	for _, key := range missing {
		switch l := lives[key]; {
		case l.deleted:
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
	for entries, err := range auditDays(c.ctx, c.h, time.Time{}, damaged) {
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			key := recordKey(e.Kind, e.Name)
			if e.Failure != "" || key == "" {
				continue
			}
			l := lives[key]
			l.created = l.created || e.Op == "create"
			l.updated = l.updated || e.Op == "update"
			l.deleted = l.deleted || e.Op == "delete"
			lives[key] = l
		}
	}
	return lives, nil
}

// recordKey gives the key of the record of what the audit log calls so, "" for
// what has none or leaves it behind when it is deleted.
func recordKey(kind, name string) string {
	switch kind {
	case "experiment":
		return "experiments/" + name + ".json"
	case "run":
		return history.Ref(name).Key
	case "model":
		return modelKey(name)
	case "environment":
		if name, version, ok := strings.Cut(name, ":"); ok {
			return "environments/" + name + "/" + version + ".json"
		}
	case "compute target":
		return "compute/" + name + ".json"
	case "endpoint":
		return core.EndpointPrefix + name + ".json"
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
	return core.Series{Prefix: "models/" + name + "/"}.Key(version)
}

package mirror

import (
	"context"
	"crypto/sha256"
	"strings"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
)

// The prefixes of what is brought over. A unit is what is looked at as a whole, a
// run with all that is below it for one, and is named by the prefix and its name.
const (
	datastoreUnits   = "datastores/"
	definitionUnits  = "dataset-definitions/"
	datasetUnits     = "datasets/"
	environmentUnits = "environments/"
	experimentUnits  = "experiments/"
	runUnits         = "runs/"
	loggedUnits      = "logged-models/"
	modelUnits       = "models/"
)

// prefixes lists the prefixes in the order in which units are brought: what
// refers to others comes after them.
var prefixes = []string{datastoreUnits, definitionUnits, datasetUnits, environmentUnits, experimentUnits, runUnits, loggedUnits, modelUnits}

// unitOf gives the unit that an object belongs to, "" for none.
func unitOf(key string) string {
	for _, prefix := range prefixes {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok {
			continue
		}
		name, below, isFolder := strings.Cut(rest, "/")
		switch {
		case prefix == experimentUnits && isFolder: // numbers of runs, which come with these
			return ""
		case prefix == runUnits && (strings.HasPrefix(below, "heartbeat-") || strings.HasPrefix(below, "clock-")):
			return ""
		case !isFolder:
			name = strings.TrimSuffix(name, ".json")
		}
		return prefix + name
	}
	return ""
}

// mark stands for the state of all objects of a unit.
type mark [16]byte

// markOf gives the mark of a unit of one object.
func markOf(key, etag string) mark {
	sum := sha256.Sum256([]byte(key + "\x00" + etag))
	return mark(sum[:len(mark{})])
}

// survey gives the marks of all units of a workspace, by its listing alone.
func survey(ctx context.Context, h core.Handle) (map[string]mark, error) {
	marks := map[string]mark{}
	for _, prefix := range prefixes {
		opts := &backend.ListOptions{Prefix: prefix}
		if prefix == experimentUnits {
			opts.Delimiter = "/"
		}
		if err := addMarks(ctx, h, opts, marks); err != nil {
			return nil, err
		}
	}
	return marks, nil
}

// surveyUnits gives the marks of some units.
func surveyUnits(ctx context.Context, h core.Handle, units []string) (map[string]mark, error) {
	marks := map[string]mark{}
	for _, unit := range units {
		for _, suffix := range []string{".json", "/"} {
			opts := &backend.ListOptions{Prefix: unit + suffix, Delimiter: ""}
			if strings.HasPrefix(unit, experimentUnits) && suffix == "/" {
				continue
			}
			if err := addMarks(ctx, h, opts, marks); err != nil {
				return nil, err
			}
		}
	}
	return marks, nil
}

// addMarks adds what a listing shows. The order of a unit's objects plays no
// part, as they are not together in the listing.
func addMarks(ctx context.Context, h core.Handle, opts *backend.ListOptions, marks map[string]mark) error {
	for info, err := range h.Objects().List(ctx, opts) {
		if err != nil {
			return err
		}
		unit := unitOf(info.Key)
		if info.IsPrefix || unit == "" {
			continue
		}
		m, of := marks[unit], markOf(info.Key, string(info.ETag))
		for i := range m {
			m[i] ^= of[i]
		}
		marks[unit] = m
	}
	return nil
}

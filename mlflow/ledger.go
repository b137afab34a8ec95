package mlflow

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Carried is what an import or an export has done.
type Carried struct {
	// DryRun says that nothing was done but looking.
	DryRun bool `json:"dryRun,omitempty"`
	// Experiments counts experiments.
	Experiments Tally `json:"experiments"`
	// Runs counts runs.
	Runs Tally `json:"runs"`
	// LoggedModels counts logged models.
	LoggedModels Tally `json:"loggedModels"`
	// Models counts registered models.
	Models Tally `json:"models"`
	// Versions counts versions of registered models.
	Versions Tally `json:"versions"`
	// Values is the number of values of metrics that were added.
	Values int64 `json:"values"`
	// Files is the number of files that were added.
	Files int64 `json:"files"`
	// Bytes is the sum of their sizes.
	Bytes int64 `json:"bytes"`
	// Conflicts lists, at most 1,000, what is otherwise where it was carried to.
	// It was left as it is.
	Conflicts []Conflict `json:"conflicts"`
	// MoreConflicts is the number of conflicts that are not listed.
	MoreConflicts int64 `json:"moreConflicts,omitempty"`
	// LeftOut counts, by reason, what was not carried over.
	LeftOut map[string]int64 `json:"leftOut,omitempty"`
	// LeftOutNames has, by reason, the first 100 names of what was not carried
	// over: the ID of a run or model, and the name of what belongs to it after a
	// "/". Of a run that was passed over it is the ID alone.
	LeftOutNames map[string][]string `json:"leftOutNames,omitempty"`
}

// Tally counts things of one kind by what was done about them.
type Tally struct {
	// Created were not there before.
	Created int64 `json:"created"`
	// Completed were there and got what was missing.
	Completed int64 `json:"completed"`
	// Unchanged were there already.
	Unchanged int64 `json:"unchanged"`
}

// count counts one thing.
func (t *Tally) count(fresh, added bool) {
	switch {
	case fresh:
		t.Created++
	case added:
		t.Completed++
	default:
		t.Unchanged++
	}
}

// Conflict is something that is there otherwise than where it comes from.
type Conflict struct {
	// Kind is the kind of thing, such as "run".
	Kind string `json:"kind"`
	// Name is its name or ID.
	Name string `json:"name"`
	// Reason says what differs.
	Reason string `json:"reason"`
}

// The most conflicts, and names of what is left out for one reason, that are
// listed.
const (
	maxConflicts = 1000
	maxNames     = 100
)

// ledger keeps account of what was done. It is safe for concurrent use.
type ledger struct {
	mu   sync.Mutex
	done Carried
	left map[string]map[string]int64 // what is left out of runs that are being imported
	tell func(Carried)
	told time.Time
}

func newLedger(dryRun bool, tell func(Carried)) *ledger {
	return &ledger{done: Carried{DryRun: dryRun, Conflicts: []Conflict{}, LeftOut: map[string]int64{}, LeftOutNames: map[string][]string{}},
		left: map[string]map[string]int64{}, tell: tell}
}

// report changes what was done, and tells it now and then.
func (l *ledger) report(change func(*Carried)) {
	const often = 50 * time.Millisecond
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.done)
	if now := time.Now(); now.Sub(l.told) >= often {
		l.told = now
		l.tell(l.copy())
	}
}

// result gives what was done, and tells it for the last time.
func (l *ledger) result() Carried {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tell(l.copy())
	return l.copy()
}

func (l *ledger) copy() Carried {
	done := l.done
	done.Conflicts = slices.Clone(done.Conflicts)
	done.LeftOut = maps.Clone(done.LeftOut)
	done.LeftOutNames = maps.Clone(done.LeftOutNames) // whose lists only grow
	return done
}

// leave counts something that is not carried over. name is the ID of what it
// belongs to and its own name in that, where these are known.
func (l *ledger) leave(reason string, n int64, name ...string) {
	if n <= 0 {
		return
	}
	l.report(func(d *Carried) {
		d.LeftOut[reason] += n
		if len(name) == 0 {
			return
		}
		if names := d.LeftOutNames[reason]; len(names) < maxNames {
			d.LeftOutNames[reason] = append(names, strings.Join(name, "/"))
		}
		if of, begun := l.left[name[0]]; begun {
			of[reason] += n
		}
	})
}

// begun notes what is left out of a run from now on.
func (l *ledger) begun(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left[id] = map[string]int64{}
}

// ended gives what was left out of a run since it was begun.
func (l *ledger) ended(id string) map[string]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer delete(l.left, id)
	return l.left[id]
}

func (l *ledger) leaveAll(counts map[string]int64) {
	for reason, n := range counts {
		l.leave(reason, n)
	}
}

// conflict lists something that differs.
func (l *ledger) conflict(kind, name, format string, args ...any) {
	l.report(func(d *Carried) {
		if len(d.Conflicts) < maxConflicts {
			d.Conflicts = append(d.Conflicts, Conflict{kind, name, fmt.Sprintf(format, args...)})
		} else {
			d.MoreConflicts++
		}
	})
}

// missing gives those of the labels that are wanted and not there, and lists
// those that are there with another value.
func (l *ledger) missing(kind, name, what string, have, want map[string]string) map[string]string {
	missing := map[string]string{}
	for key, value := range want {
		if there, ok := have[key]; !ok {
			missing[key] = value
		} else if there != value {
			l.conflict(kind, name, "%s %q is %.60q where it is carried to, and %.60q where it comes from", what, key, there, value)
		}
	}
	return missing
}

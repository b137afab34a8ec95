package mirror

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Tally counts things of one kind.
type Tally struct {
	// Created were not there.
	Created int `json:"created"`
	// Updated were there in an older state, or lacked something.
	Updated int `json:"updated"`
	// Deleted were deleted, because they are in the source.
	Deleted int `json:"deleted"`
	// Unchanged were looked at and needed nothing.
	Unchanged int `json:"unchanged"`
}

// Counts tells how much was done.
type Counts struct {
	// Datastores are datastores, without credentials.
	Datastores Tally `json:"datastores"`
	// Datasets are versions of registered datasets.
	Datasets Tally `json:"datasets"`
	// DataFiles are files of the workspace's own datastore.
	DataFiles Tally `json:"dataFiles"`
	// Environments are versions of environments.
	Environments Tally `json:"environments"`
	// Experiments are experiments and their further names.
	Experiments Tally `json:"experiments"`
	// Runs are runs.
	Runs Tally `json:"runs"`
	// LoggedModels are models that MLflow clients have logged.
	LoggedModels Tally `json:"loggedModels"`
	// Models are registered models.
	Models Tally `json:"models"`
	// Versions are versions of models.
	Versions Tally `json:"versions"`
	// Secrets are secrets, which are brought when Options.Secrets asks for it.
	Secrets Tally `json:"secrets"`
	// Passed is the number of runs, models and the like that an earlier sync had
	// found to be the same, and that were not looked at.
	Passed int `json:"passed"`
	// Points is the number of points of metrics that were brought.
	Points int64 `json:"points"`
	// MetricBytes is the size of the objects that hold them.
	MetricBytes int64 `json:"metricBytes"`
	// LogBytes is the size of what was appended to logs.
	LogBytes int64 `json:"logBytes"`
	// Chunks is the number of chunks of files that the destination lacked.
	Chunks int `json:"chunks"`
	// ChunkBytes is their size.
	ChunkBytes int64 `json:"chunkBytes"`
	// DataBytes is the size of the files of the own datastore that were brought.
	DataBytes int64 `json:"dataBytes"`
}

// Bytes is the size of all but records.
func (c Counts) Bytes() int64 { return c.MetricBytes + c.LogBytes + c.ChunkBytes + c.DataBytes }

// Changes tells how many things were created, updated or deleted.
func (c Counts) Changes() int {
	n := 0
	for _, t := range []Tally{c.Datastores, c.Datasets, c.DataFiles, c.Environments, c.Experiments, c.Runs, c.LoggedModels, c.Models, c.Versions, c.Secrets} {
		n += t.Created + t.Updated + t.Deleted
	}
	return n
}

// Report is the result of a sync.
type Report struct {
	// Source is the name of the workspace that was read.
	Source string `json:"source"`
	// Destination is the name of the one that was written to.
	Destination string `json:"destination"`
	// DryRun says that nothing was written.
	DryRun bool `json:"dryRun,omitempty"`
	Counts
	// Conflicts are the conflicts, by kind and name, decided ones among them.
	Conflicts []Conflict `json:"conflicts"`
	// Damaged are things that were not brought because they can't be read whole
	// in the source.
	Damaged []Damage `json:"damaged"`
	// Renumbered are things that have another number in the destination, because
	// theirs is taken there.
	Renumbered []Renumbering `json:"renumbered"`
	// Kept are things that were deleted in one workspace and are there in the
	// other: without Delete they are not deleted in the destination, and what
	// was deleted in the destination does not come again.
	Kept []Kept `json:"kept"`
	// MissingSecrets are names of secrets that the source has and the destination
	// lacks: all of them when it has no secret store. Options.Secrets brings them.
	MissingSecrets []string `json:"missingSecrets"`
	// SecretsUnknown says why the names of secrets could not be compared, such as
	// that a vault does not let them be listed; empty when they were.
	SecretsUnknown string `json:"secretsUnknown,omitempty"`
	// MissingCredentials are names of datastores that have credentials in the
	// source and none in the destination: register them there once more.
	MissingCredentials []string `json:"missingCredentials"`
}

// Open gives the conflicts about which nothing was decided.
func (r *Report) Open() []Conflict {
	return slices.DeleteFunc(slices.Clone(r.Conflicts), func(c Conflict) bool { return c.Choice != Leave })
}

// Damage is something that can't be read in the source.
type Damage struct {
	// Kind is the kind of thing.
	Kind string `json:"kind"`
	// Name is its name or ID.
	Name string `json:"name"`
	// Problem says what is wrong with it.
	Problem string `json:"problem"`
}

// Renumbering is something that has another number in the destination.
type Renumbering struct {
	// Kind is the kind of thing: "run", "model" or "environment".
	Kind string `json:"kind"`
	// Name is its name or ID without the number.
	Name string `json:"name"`
	// From is its number in the source.
	From string `json:"from"`
	// To is its number in the destination.
	To string `json:"to"`
}

// Kept is something that was deleted on one side only.
type Kept struct {
	// Kind is the kind of thing.
	Kind string `json:"kind"`
	// Name is its name or ID.
	Name string `json:"name"`
	// DeletedIn is the name of the workspace in which it was deleted.
	DeletedIn string `json:"deletedIn"`
}

// ledger writes a report, for many goroutines.
type ledger struct {
	mu     sync.Mutex
	report Report
	tell   func(Counts)
	told   time.Time
}

// tellEvery is how often the progress is told.
const tellEvery = 100 * time.Millisecond

// begin begins a report anew.
func (l *ledger) begin(r Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report = r
}

// note changes the report.
func (l *ledger) note(change func(r *Report)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.report)
	if now := time.Now(); l.tell != nil && now.Sub(l.told) >= tellEvery {
		l.told = now
		l.tell(l.report.Counts)
	}
}

func (l *ledger) damaged(kind, name string, err error) {
	l.note(func(r *Report) { r.Damaged = append(r.Damaged, Damage{kind, name, err.Error()}) })
}

func (l *ledger) renumbered(kind, name, from, to string) {
	l.note(func(r *Report) { r.Renumbered = append(r.Renumbered, Renumbering{kind, name, from, to}) })
}

func (l *ledger) kept(kind, name, where string) {
	l.note(func(r *Report) { r.Kept = append(r.Kept, Kept{kind, name, where}) })
}

// result gives the report as it is now, its lists in order.
func (l *ledger) result() *Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.report
	r.Conflicts = sorted(r.Conflicts, func(c Conflict) string { return c.Kind + " " + c.Name })
	r.Damaged = sorted(r.Damaged, func(d Damage) string { return d.Kind + " " + d.Name })
	r.Renumbered = sorted(r.Renumbered, func(n Renumbering) string { return n.Kind + " " + n.Name })
	r.Kept = sorted(r.Kept, func(k Kept) string { return k.Kind + " " + k.Name })
	byName := func(name string) string { return name }
	r.MissingSecrets = sorted(r.MissingSecrets, byName)
	r.MissingCredentials = sorted(r.MissingCredentials, byName)
	return &r
}

// sorted gives a sorted copy, never nil.
func sorted[T any](list []T, key func(T) string) []T {
	out := append([]T{}, list...)
	slices.SortStableFunc(out, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	return out
}

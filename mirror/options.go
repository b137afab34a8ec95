package mirror

import "time"

// Options are the options of Sync and Follow. Without Experiments, Runs and
// Models everything is brought over.
type Options struct {
	// Experiments are the names of experiments wanted, with all their runs and
	// what belongs to these.
	Experiments []string
	// Runs are the IDs of runs wanted, with the runs above and below them, the
	// models that were made of them, and all that these need.
	Runs []string
	// Models are the names of registered models wanted, with all their versions
	// and files, but not with the runs that they come from.
	Models []string
	// Delete deletes in the destination what was deleted in the source since it
	// came from there.
	Delete bool
	// DryRun changes nothing and tells what would be done. Runs whose process is
	// gone are not ended in the source either.
	DryRun bool
	// Verify compares everything, also what an earlier sync from this machine
	// has found to be the same and that has not been written since.
	Verify bool
	// Secrets brings the secrets that the destination lacks, from store to store: all of the
	// source's but credentials of datastores and compute targets and keys of endpoints. One
	// that the destination has is left as it is.
	Secrets bool
	// Resolve decides about a conflict; nil leaves all. It may be called from
	// several goroutines at once.
	Resolve func(Conflict) Choice
	// Progress, when not nil, is called now and then with what was done so far,
	// never by two goroutines at once.
	Progress func(Counts)
}

// Choice says what becomes of a conflict.
type Choice string

// The choices.
const (
	// Leave changes nothing; the next sync meets the conflict again.
	Leave Choice = ""
	// Destination keeps what the destination has, for good.
	Destination Choice = "destination"
	// Source replaces it by what the source has.
	Source Choice = "source"
	// Both keeps what the destination has and brings what the source has under
	// the next number. It is for numbers of models and datasets that were given to a
	// version in each workspace; for all else it is Leave.
	Both Choice = "both"
)

// Conflict is something that can't be brought over because the destination has
// something else in its place.
type Conflict struct {
	// Kind is the kind of thing: "run", "files of run", "log of run",
	// "experiment", "model" or "dataset" for a version, "datastore", "data file", "registered model", "logged model",
	// "files of logged model".
	Kind string `json:"kind"`
	// Name is its name or ID.
	Name string `json:"name"`
	// Reason says what is wrong.
	Reason string `json:"reason"`
	// Source is what the source has.
	Source Side `json:"source"`
	// Destination is what the destination has.
	Destination Side `json:"destination"`
	// Choice is what was decided; only conflicts with Leave are open.
	Choice Choice `json:"choice,omitempty"`
}

// Side is one side of a conflict.
type Side struct {
	// Created is when the thing was made; zero when that is not known.
	Created time.Time `json:"created,omitzero"`
	// CreatedBy is who made it, as user@host.
	CreatedBy string `json:"createdBy,omitempty"`
	// Modified is when it was changed last; zero when that is not known.
	Modified time.Time `json:"modified,omitzero"`
	// Detail says in a few words what it is, such as a run's status, and of what was
	// changed in both workspaces the first members that differ, such as "tags.team=risk".
	Detail string `json:"detail,omitempty"`
}

// PreferSource is a Resolve that takes the source's side.
func PreferSource(Conflict) Choice { return Source }

// PreferDestination is a Resolve that takes the destination's side.
func PreferDestination(Conflict) Choice { return Destination }

// PreferNewer is a Resolve that takes the side that was changed last, by the
// clocks of those who changed it.
func PreferNewer(c Conflict) Choice {
	if c.Source.Modified.After(c.Destination.Modified) {
		return Source
	}
	return Destination
}

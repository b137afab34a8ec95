package history

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// Prefix is the prefix of all objects of runs.
const Prefix = "runs/"

// Ref gives the reference of the run's record.
func Ref(id string) core.Ref {
	return core.Ref{Kind: "run", Name: id, Key: Prefix + id + "/run.json"}
}

// Numbers gives the series that numbers the runs of an experiment.
func Numbers(experiment string) core.Series {
	return core.Series{Kind: "run number", Name: experiment, Prefix: ExperimentPrefix + experiment + "/runs/"}
}

// ExperimentRef gives the reference of the experiment's record.
func ExperimentRef(name string) core.Ref {
	return core.Ref{Kind: "experiment", Name: name, Key: ExperimentPrefix + name + ".json"}
}

// ExperimentPrefix is the prefix of all objects of experiments.
const ExperimentPrefix = "experiments/"

// Create stores a new run: it gives it the next number of its experiment, its
// first status and an audit line. Errors: ErrExists when the ID is taken,
// ErrInvalid, ErrNotFound when the experiment is deleted at the same time.
func Create(ctx context.Context, h core.Handle, run record.Run) (core.Stored[record.Run], error) {
	var none core.Stored[record.Run]
	if err := core.RunID.Check(run.ID); err != nil {
		return none, err
	}
	if _, err := h.Objects().Stat(ctx, Ref(run.ID).Key); err == nil {
		return none, fmt.Errorf("%w: choose another ID or none", azml.ErrExists)
	}
	stored, err := core.CreateAfter(ctx, h, Ref(run.ID), func() (record.Run, func() error, error) {
		number, taken, err := core.Take(ctx, h, Numbers(run.Experiment), record.RunNumber{RunID: run.ID})
		return begun(h, run, number), taken, err
	})
	if err != nil {
		return none, err
	}
	// Who deletes the experiment looks for runs after its record is gone, and we
	// look for that after ours is there: one of the two sees the other.
	if _, err := h.Objects().Stat(ctx, ExperimentRef(run.Experiment).Key); errors.Is(err, azml.ErrNotFound) {
		return none, errors.Join(fmt.Errorf("%w: experiment %q was deleted", azml.ErrNotFound, run.Experiment),
			core.Delete(ctx, h, Ref(run.ID), stored.ETag))
	}
	return stored, nil
}

// begun gives a new run its number and what it begins with.
func begun(h core.Handle, run record.Run, number int) record.Run {
	run.Number, run.Life = number, core.NewID(8)
	if run.Root == "" {
		run.Root = run.ID
	}
	run.Since = h.Now()
	run.History = []record.Transition{{Status: run.Status, Time: run.Since, Reason: run.Reason}}
	if run.Status == record.Running && run.Started.IsZero() {
		run.Started = run.Since
	}
	return run
}

// Get reads the run's record. Errors: ErrNotFound, ErrDamaged, ErrInvalid.
func Get(ctx context.Context, h core.Handle, id string) (core.Stored[record.Run], error) {
	if err := core.RunID.Check(id); err != nil {
		return core.Stored[record.Run]{}, err
	}
	return core.Get[record.Run](ctx, h, Ref(id).Key)
}

// Update changes the run's record, see core.Update.
func Update(ctx context.Context, h core.Handle, id string, note core.Note, change func(*record.Run) error) (core.Stored[record.Run], error) {
	return core.Update(ctx, h, Ref(id), note, change)
}

// Step is a transition of a run.
type Step struct {
	// To is the next status.
	To record.Status
	// From is the record as the caller has read or written it, which saves reading it where
	// nobody has changed it since; zero to have it read.
	From core.Stored[record.Run]
	// Reason says why, in words.
	Reason string
	// WaitsFor says what the run waits for in the next status.
	WaitsFor string
	// Change, when not nil, changes more of the record in the same write.
	Change func(*record.Run)
	// Points is how many points the writers of metrics have stored that the
	// caller has closed, by their IDs; it is for the last step.
	Points map[string]uint64
	// Resume says that the run is to leave a last status, which no other step
	// does.
	Resume bool
	// Life, when not empty, makes the step fail with ErrNotFound when the run was
	// deleted and another has got its ID.
	Life string
	// Owner, when not empty, makes the step fail with ErrConflict when the run
	// has meanwhile been taken from this owner.
	Owner string
	// Agent, when not empty, makes the step fail with ErrConflict when the run has
	// another agent than the one of this job.
	Agent string
	// Unowned makes the step fail with ErrConflict when somebody answers for the run.
	Unowned bool
	// Unclaimed makes the step fail with ErrConflict when somebody answers for the run,
	// or has begun to start its agent.
	Unclaimed bool
}

// Transition moves the run to its next status. Errors: ErrConflict when the
// table of transitions doesn't allow it or the run has another owner.
func Transition(ctx context.Context, h core.Handle, id string, step Step) (core.Stored[record.Run], error) {
	note := core.Quiet
	if step.To.Terminal() || step.To == record.CancelRequested || step.Resume {
		note = core.Updated("status " + string(step.To))
	}
	stored, err := core.UpdateFrom(ctx, h, Ref(id), step.From, note, func(r *record.Run) error {
		if err := SameLife(*r, step.Life); err != nil {
			return err
		}
		if step.Owner != "" && (r.Owner == nil || r.Owner.ID != step.Owner) {
			return fmt.Errorf("%w: the run is %s and another process answers for it now", azml.ErrConflict, r.Status)
		}
		if step.Agent != "" && (r.Agent == nil || r.Agent.Job != step.Agent) {
			return fmt.Errorf("%w: the run is %s and has another agent now", azml.ErrConflict, r.Status)
		}
		if step.Unowned && r.Owner != nil {
			return fmt.Errorf("%w: the run is %s and its agent answers for it", azml.ErrConflict, r.Status)
		}
		if step.Unclaimed && (r.Owner != nil || r.Agent != nil) {
			return fmt.Errorf("%w: the run is %s and is being begun", azml.ErrConflict, r.Status)
		}
		if !r.Status.CanBecome(step.To) || r.Status.Terminal() != step.Resume {
			return fmt.Errorf("%w: the run is %s, it can't become %s", azml.ErrConflict, r.Status, step.To)
		}
		now := h.Now()
		if step.To == record.Running && r.Started.IsZero() {
			r.Started = now
		}
		r.Ended = time.Time{}
		if step.To.Terminal() {
			r.Ended = now
			r.Kept = Kept(h, *r, nil, step.Points)
		}
		r.Status, r.Reason, r.WaitsFor, r.Since = step.To, step.Reason, step.WaitsFor, now
		r.History = append(slices.Clip(r.History), record.Transition{Status: step.To, Time: now, Reason: step.Reason})
		if step.Change != nil {
			step.Change(r)
		}
		return nil
	})
	if err == nil && step.To.Terminal() {
		h.Telemetry().RunEnded(ctx, string(step.To))
	}
	return stored, err
}

// Kept says what this process knows to be in the store of the run: what is
// said before, nil for nothing, and the points of the writers that it has
// closed. It gives nil for nothing.
func Kept(h core.Handle, run record.Run, before *record.Kept, points map[string]uint64) *record.Kept {
	k := record.Kept{FileParts: RunFiles(run).parts().LastSeen(h), Points: points}
	if before != nil {
		k.FileParts = max(k.FileParts, before.FileParts)
		k.Points = maps.Clone(before.Points)
		for writer, n := range points {
			if k.Points == nil {
				k.Points = map[string]uint64{}
			}
			k.Points[writer] = n
		}
	}
	if k.FileParts == 0 && len(k.Points) == 0 {
		return nil
	}
	return &k
}

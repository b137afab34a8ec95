package experiment

import (
	"context"
	"fmt"
	"maps"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/run"
)

// RunOptions are the options of Experiment.Run and Experiment.StartLogging.
type RunOptions struct {
	// RunID is the run's ID: 1 to 256 letters, digits, "_" or "-"; a random
	// UUID when empty.
	RunID string
	// DisplayName is a name for people.
	DisplayName string
	// Description is free text of at most 5,000 characters.
	Description string
	// Tags are free labels that can change.
	Tags map[string]string
	// Properties are labels that never change.
	Properties map[string]string
	// Source is a folder to take a snapshot of before the run starts, with its
	// git facts; no snapshot when empty.
	Source string
	// Outputs is a folder of this machine whose files are uploaded as the
	// run's outputs/ when it ends; none when empty.
	Outputs string
}

// Run makes a run, calls fn in this process, and ends the run: Completed when
// fn returns nil, Canceled when somebody canceled it, else Failed with fn's
// error. fn's context ends when the run is canceled. A panic of fn marks the
// run as Failed and goes on.
//
// The run is given also when it failed, together with the error; it is nil
// when it could not be created. Errors: fn's; ErrInvalid, ErrExists;
// ErrCanceled.
func (e *Experiment) Run(ctx context.Context, fn func(ctx context.Context, r *run.Run) error, opts *RunOptions) (_ *run.Run, err error) {
	r, err := e.StartLogging(ctx, opts)
	if err != nil {
		return nil, err
	}
	return r, r.Do(ctx, fn)
}

// StartLogging makes a run that is Running and that this process answers for;
// the caller logs to it and ends it with Complete or Fail. Closing the
// workspace before that fails the run. Errors: ErrInvalid, ErrExists when
// RunID is taken, ErrConflict when the experiment is archived.
func (e *Experiment) StartLogging(ctx context.Context, opts *RunOptions) (_ *run.Run, err error) {
	defer e.h.Operation(&ctx, &err, "start run of", kind, e.Name())()
	if opts == nil {
		opts = &RunOptions{}
	}
	if err := e.active(ctx); err != nil {
		return nil, err
	}
	draft := record.Run{ID: opts.RunID, Experiment: e.Name(), Type: run.TypeInProcess, DisplayName: opts.DisplayName,
		Description: opts.Description, Tags: maps.Clone(opts.Tags), Properties: maps.Clone(opts.Properties)}
	if draft.ID == "" {
		draft.ID = core.NewUUID()
	}
	if opts.Source != "" {
		plan, err := e.scan(ctx, opts.Source)
		if err != nil {
			return nil, err
		}
		s, err := e.takeSnapshot(ctx, plan, nil)
		if err != nil {
			return nil, err
		}
		s.fill(&draft)
	}
	return run.Start(ctx, e.h, draft, opts.Outputs)
}

// active gives an error when the experiment takes no runs.
func (e *Experiment) active(ctx context.Context) error {
	now, err := NewClient(e.h).Get(ctx, e.Name(), nil)
	if err != nil {
		return err
	}
	if !now.stored.Value.Archived.IsZero() {
		return fmt.Errorf("%w: the experiment is archived: reactivate it first", azml.ErrConflict)
	}
	return nil
}

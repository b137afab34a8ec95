package experiment

import (
	"context"
	"fmt"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/run"
)

// NewClient is for package workspace.
func NewClient(h core.Handle) *Client { return &Client{h} }

// RunClient is for packages that get an experiment and need the runs of its
// workspace.
func RunClient(e *Experiment) *run.Client { return run.NewClient(e.h) }

// Drive is for the program that drives a run in place of its submitter: it takes
// the run over and brings it to its end. An error says that it could not; a script
// that fails is none.
func Drive(ctx context.Context, h core.Handle, i agent.Instructions) error {
	switch {
	case i.Lost != "" && agent.IsWorker():
		return agent.EndLeft(ctx, h, i.RunID)
	case i.Lost != "":
		return agent.Finish(ctx, h, i.RunID, true, i.Lost)
	case agent.IsWorker():
		return work(ctx, h, i.RunID)
	}
	var e *Experiment
	lasting := context.WithoutCancel(ctx)
	adopted, err := agent.Adopt(ctx, h, i, func(r record.Run) (err error) {
		e, err = NewClient(h).Get(lasting, r.Experiment, nil)
		return err
	})
	if err != nil {
		return err
	}
	// From here on the run is this process's to end.
	driving, stop := context.WithCancelCause(lasting)
	defer stop(nil)
	defer context.AfterFunc(ctx, func() { stop(agent.ErrAsked) })()
	e.drive(driving, adopted)
	ended, err := history.Get(lasting, h, i.RunID)
	if err == nil && !ended.Value.Status.Terminal() {
		err = fmt.Errorf("%w: the run %s was left %s", azml.ErrFailed, i.RunID, ended.Value.Status)
	}
	return err
}

// work is Drive on another node than 0.
func work(ctx context.Context, h core.Handle, id string) error {
	stored, err := history.Get(ctx, h, id)
	if err != nil {
		return err
	}
	e, err := NewClient(h).Get(ctx, stored.Value.Experiment, nil)
	if err != nil {
		return err
	}
	return agent.Work(ctx, h, id, e.track, e.bind)
}

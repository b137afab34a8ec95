package scheduler

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/pause"
	"github.com/azml-go/azml/workspace"
)

// Options are the options of Run.
type Options struct {
	// Clusters are the names of the clusters to schedule, all when empty, also those
	// that are created later.
	Clusters []string
	// Every is the time between two looks at a cluster's queue, half a second when
	// zero.
	Every time.Duration
	// TakeOver is how long nothing must be heard of the process that schedules
	// before this one takes its place, by this process's own clock; 15 seconds when
	// zero. All processes should have the same.
	TakeOver time.Duration

	abandon    time.Duration // abandonedAfter, but for tests
	takenAfter time.Duration // history.FailAfter, but for tests
}

// discoverEvery is the time between two looks for new clusters.
const discoverEvery = 5 * time.Second

// Run schedules until ctx ends, and gives its cause. What goes wrong meanwhile is
// logged and tried again. Runs that it has placed go on when it ends, and the next
// scheduler keeps them. Errors: ErrNotFound for a cluster that is none.
func Run(ctx context.Context, ws *workspace.Workspace, opts *Options) error {
	if opts == nil {
		opts = &Options{}
	}
	o := *opts
	if o.Every <= 0 {
		o.Every = 500 * time.Millisecond
	}
	if o.TakeOver <= 0 {
		o.TakeOver = 15 * time.Second
	}
	if o.abandon == 0 {
		o.abandon = abandonedAfter
	}
	if o.takenAfter == 0 {
		o.takenAfter = history.FailAfter
	}
	for _, name := range o.Clusters {
		target, err := ws.Compute().Get(ctx, name, nil)
		if err != nil {
			return err
		}
		if target.Type() != compute.TypeCluster {
			return &azml.Error{Op: "schedule", Kind: "compute target", Name: name, Class: azml.ErrInvalid, Cause: errors.New("it is no cluster")}
		}
	}
	var all sync.WaitGroup
	defer all.Wait()
	var serving sync.Map // by name
	for {
		names, err := clusters(ctx, ws, o.Clusters)
		if err != nil && ctx.Err() == nil {
			workspace.Handle(ws).Logger().Warn("the clusters could not be listed", "error", err)
		}
		for _, name := range names {
			if _, is := serving.LoadOrStore(name, true); !is {
				all.Go(func() {
					defer serving.Delete(name)
					serve(ctx, workspace.Handle(ws), name, o)
				})
			}
		}
		if !pause.For(ctx, discoverEvery) {
			return context.Cause(ctx)
		}
	}
}

// clusters gives those that are named, or all.
func clusters(ctx context.Context, ws *workspace.Workspace, named []string) ([]string, error) {
	if len(named) > 0 {
		return named, nil
	}
	var names []string
	for target, err := range ws.Compute().List(ctx, nil) {
		if err != nil {
			return names, err
		}
		if target.Type() == compute.TypeCluster {
			names = append(names, target.Name())
		}
	}
	return names, nil
}

// serve schedules one cluster until ctx ends, or the cluster is deleted and nothing is
// left to be done for it: another look for clusters finds one that is created anew.
func serve(ctx context.Context, h core.Handle, name string, o Options) {
	c := newCluster(h, name, o)
	defer c.release(ctx)
	defer c.spares.Close()
	defer c.tasks.Wait()
	for {
		err := c.step(ctx)
		switch deleted := errors.Is(err, errDeleted); {
		case deleted && !c.working():
			return
		case err != nil && !deleted && ctx.Err() == nil:
			h.Logger().Warn("a cluster could not be scheduled", "cluster", name, "error", err)
		}
		select {
		case <-c.wake:
		case <-time.After(o.Every):
		case <-ctx.Done():
			return
		}
	}
}

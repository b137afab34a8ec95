package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/scheduler"
)

// benchCluster measures clusters: a decision, a batch, and how well nodes are used.
func benchCluster(ctx context.Context, b *bench) error {
	return errors.Join(b.measureDecision(ctx), b.measureBatch(ctx), b.measureSlots(ctx))
}

// queued is how many runs wait while a decision is made.
const queued = 10_000

// measureDecision measures a decision about a full queue beside one sort of it.
func (b *bench) measureDecision(ctx context.Context) error {
	in := scheduler.Input{Config: scheduler.Config{MaxNodes: 100, IdleBeforeScaleDown: time.Hour}, Now: time.Now()}
	for i := range 100 {
		n := scheduler.Node{ID: fmt.Sprintf("box/%d", i), State: scheduler.Running, Since: in.Now, Experiment: "e"}
		if i%10 == 0 {
			n.State = scheduler.Idle
		}
		in.Nodes = append(in.Nodes, n)
	}
	for i := range queued {
		in.Queue = append(in.Queue, scheduler.Run{ID: fmt.Sprint("run", i), Experiment: fmt.Sprint("e", i%50), Nodes: 1 + i%3, Priority: i % 3,
			Queued: in.Now.Add(-time.Duration(i*7919%queued) * time.Second)})
	}
	decide := func(context.Context) error {
		if len(scheduler.Decide(in)) == 0 {
			return errors.New("nothing was decided")
		}
		return nil
	}
	order := func(context.Context) error {
		slices.SortFunc(slices.Clone(in.Queue), func(a, b scheduler.Run) int { return a.Queued.Compare(b.Queued) })
		return nil
	}
	got, err := b.rounds(ctx, timed(decide), timed(order))
	if err != nil {
		return err
	}
	f := figureOf(fmt.Sprintf("cluster-decision-%d-queued", queued), "ms", 1e3, got[0], "a sort of the queue", got[1])
	f.Beside = []named{{"the goal", 5}}
	b.report(f)
	return nil
}

// copies gives the same variation so many times.
func copies(n int) iter.Seq[experiment.Variation] {
	return func(yield func(experiment.Variation) bool) {
		for range n {
			if !yield(experiment.Variation{}) {
				return
			}
		}
	}
}

// measureBatch measures what a run of a batch costs beside its objects.
func (b *bench) measureBatch(ctx context.Context) error {
	s, err := b.newSpaceOf(ctx, []backend.ComputeDriver{docker.Kind{}})
	if err != nil {
		return err
	}
	defer s.close(ctx)
	// Nothing runs, so the engine need not be there.
	if _, err := s.Compute().Create(ctx, "box", docker.Config{Image: "python:3.12-slim"}, &compute.CreateOptions{SkipValidation: true}); err != nil {
		return err
	}
	if _, err := s.Compute().Create(ctx, "pool", compute.Cluster{Members: []compute.Member{{Target: "box"}}}, nil); err != nil {
		return err
	}
	exp, err := s.Experiments().CreateOrUpdate(ctx, "bench", nil)
	if err != nil {
		return err
	}
	source, err := b.sub("source")
	if err != nil {
		return err
	}
	const runs = 100
	submit := func(ctx context.Context) error {
		for _, err := range exp.SubmitEach(ctx, experiment.ScriptRunConfig{Source: source, Command: []string{"true"}, Compute: "pool"}, copies(runs), nil) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	writes, reads, err := s.count(ctx, submit)
	if err != nil {
		return err
	}
	n, body := 0, make([]byte, 1<<10)
	put := func(ctx context.Context) error {
		for range runs * 3 { // its record, its number, its entry in the queue
			n++
			if _, err := s.local.Put(ctx, fmt.Sprintf("floor/%d", n), bytes.NewReader(body), &backend.PutOptions{IfNoneMatch: true}); err != nil {
				return err
			}
		}
		return nil
	}
	got, err := b.rounds(ctx, timed(submit), timed(put))
	if err != nil {
		return err
	}
	f := figureOf("cluster-batch-of-100-a-run", "ms", 1e3/runs, got[0], "its three objects by the store", got[1])
	f.Beside = []named{{"writes a run", float64(writes) / runs}, {"other requests a run", float64(reads) / runs}}
	b.report(f)
	return nil
}

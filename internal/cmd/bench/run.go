package main

import (
	"context"
	"fmt"

	"github.com/azml-go/azml/experiment"
)

// recordSize is about the size of a record, in bytes.
const recordSize = 700

// benchRun measures a run's whole life in process: created, nothing or one
// point logged, completed.
func benchRun(ctx context.Context, b *bench) error {
	s, err := b.newSpace(ctx)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	exp, err := s.Experiments().CreateOrUpdate(ctx, "bench", nil)
	if err != nil {
		return err
	}
	for _, points := range []int{0, 1} {
		if err := b.measureRun(ctx, s, exp, points); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) measureRun(ctx context.Context, s *space, exp *experiment.Experiment, points int) error {
	life := func(ctx context.Context) error {
		r, err := exp.StartLogging(ctx, nil)
		if err != nil {
			return err
		}
		for range points {
			if err := r.Log("loss", 0.5, nil); err != nil {
				return err
			}
		}
		return r.Complete(ctx)
	}
	return b.besideWrites(ctx, s, fmt.Sprintf("run-create-complete-%d-points", points), life)
}

// besideWrites measures an op beside as many durable writes as it makes.
func (b *bench) besideWrites(ctx context.Context, s *space, name string, op func(ctx context.Context) error) error {
	if err := op(ctx); err != nil { // the first one may do more
		return err
	}
	writes, reads, err := s.count(ctx, op)
	if err != nil {
		return err
	}
	w, err := b.newWriter(recordSize)
	if err != nil {
		return err
	}
	got, err := b.rounds(ctx, timed(op), w.times(writes))
	if err != nil {
		return err
	}
	f := figureOf(name, "ms", 1e3, got[0], fmt.Sprintf("%d new files, each with fsync of file and folder", writes), got[1])
	f.Beside = []named{{"CPU ms", 1e3 * mean(got[0].cpu)}, {"floor's CPU ms", 1e3 * mean(got[1].cpu)},
		{"durable writes", float64(writes)}, {"other requests", float64(reads)}}
	b.report(f)
	return nil
}

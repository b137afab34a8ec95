package main

import (
	"context"
	"fmt"
)

// operation is a call, or some, that all servers get.
type operation func(ctx context.Context, t *tracker) error

// sides are the operation on each server.
func (s *trackers) sides(op operation) []side {
	var out []side
	for _, t := range s.all {
		out = append(out, timed(func(ctx context.Context) error {
			if err := op(ctx, t); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			return nil
		}))
	}
	return out
}

// compare measures a short operation, in turn.
func (s *trackers) compare(ctx context.Context, name, unit string, perSecond float64, op operation) error {
	got, err := s.bench.rounds(ctx, s.sides(op)...)
	if err == nil {
		s.report(name, unit, perSecond, got, "")
	}
	return err
}

// few measures a long operation so many times on each server but the floor,
// whose answer has nothing of what makes it long, in turn.
func (s *trackers) few(ctx context.Context, n int, name, unit string, perSecond float64, op operation) error {
	got := make([]series, len(s.all))
	for range n {
		for i, do := range s.sides(op) {
			if s.all[i].floor {
				continue
			}
			sample, err := do(ctx)
			if err != nil {
				return err
			}
			got[i].value = append(got[i].value, sample.value)
		}
	}
	s.report(name, unit, perSecond, got, "")
	return nil
}

// once gives one value for each server.
func (s *trackers) once(value func(t *tracker) float64) []series {
	var out []series
	for _, t := range s.all {
		out = append(out, series{value: []float64{value(t)}})
	}
	return out
}

// report prints a figure of all servers: ours, its ratio to the floor, and how
// many times ours the peers take. The floor is left out where it has no values.
func (s *trackers) report(name, unit string, perSecond float64, got []series, note string) {
	ours := scaled(got[0].value, perSecond)
	f := figure{Name: name, Value: median(ours), Unit: unit, N: len(ours), Note: note}
	for i, t := range s.all[1:] {
		theirs := scaled(got[i+1].value, perSecond)
		switch {
		case len(theirs) == 0:
		case t.floor:
			f.Floor, f.Ratio = &named{t.name, median(theirs)}, ratio(ours, theirs)
		default:
			f.Beside = append(f.Beside, named{t.name, median(theirs)}, named{t.name + ": times ours", ratio(theirs, ours)})
		}
	}
	s.bench.report(f)
}

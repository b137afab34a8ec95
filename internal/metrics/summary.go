package metrics

import (
	"context"
	"fmt"
	"math"

	"github.com/azml-go/azml"
)

// Summary is what the points of one metric come to.
type Summary struct {
	// Kind is the kind of the last point.
	Kind Kind
	// Count is the number of points.
	Count int64
	// First and Last are the first and the last point in the order of Read.
	First, Last Point
	// Numbers is how many points are scalar numbers other than NaN. Min and Max
	// mean nothing when it is 0.
	Numbers int64
	// NaNs is how many points are the scalar NaN.
	NaNs int64
	// Min and Max are the least and the greatest number, ±Inf among them, ints
	// as the nearest float64.
	Min, Max float64
}

// Summary gives the summary of each metric by its name. It reads all points,
// as Read does, with the same errors. Its memory grows with the number of
// names only.
func (l *Log) Summary(ctx context.Context) (map[string]Summary, error) {
	sums := make(map[string]*summing)
	for e, err := range l.entries(ctx, &ReadOptions{}) {
		if err != nil {
			return nil, err
		}
		s := sums[e.series.name]
		if s == nil {
			s = &summing{}
			sums[e.series.name] = s
		}
		if err := s.add(e); err != nil {
			return nil, err
		}
	}
	out := make(map[string]Summary, len(sums))
	for name, s := range sums {
		last, err := s.last.point(s.writer)
		if err != nil {
			return nil, fmt.Errorf("%w: point %d of writer %s: %w", azml.ErrDamaged, s.last.seq, s.writer, err)
		}
		s.sum.Last, s.sum.Kind = last, last.Kind
		out[name] = s.sum
	}
	return out, nil
}

// summing is a summary on its way. Of the last point it keeps the raw form,
// as decoding each would cost more than all the rest.
type summing struct {
	sum    Summary
	last   entry
	writer string
}

func (s *summing) add(e head) (err error) {
	if s.sum.Count == 0 {
		if s.sum.First, err = e.located(); err != nil {
			return err
		}
	}
	s.sum.Count++
	blob := append(s.last.blob[:0], e.blob...)
	s.last, s.writer = *e.entry, e.writer
	s.last.blob = blob
	if e.series.kind != codeScalar {
		return nil
	}
	switch e.series.typ {
	case typeFloat:
		s.number(math.Float64frombits(e.bits))
	case typeInt:
		s.number(float64(int64(e.bits)))
	}
	return nil
}

func (s *summing) number(v float64) {
	switch {
	case math.IsNaN(v):
		s.sum.NaNs++
		return
	case s.sum.Numbers == 0:
		s.sum.Min, s.sum.Max = v, v
	default:
		s.sum.Min, s.sum.Max = min(s.sum.Min, v), max(s.sum.Max, v)
	}
	s.sum.Numbers++
}

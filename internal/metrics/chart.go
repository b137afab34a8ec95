package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go"

	"github.com/azml-go/azml"
)

// ChartOptions are the options of Log.Chart.
type ChartOptions struct {
	// Points is the greatest number of buckets, 1,000 by default.
	Points int
	// Steps are the steps wanted, nil for all.
	Steps *StepRange
}

// StepRange is the steps from First to Last, both among them.
type StepRange struct {
	// First and Last are the least and the greatest step.
	First, Last int64
}

func (r *StepRange) holds(step int64) bool { return r == nil || step >= r.First && step <= r.Last }

// Chart gives the numbers of a scalar metric as at most so many buckets. The
// numbers are taken in the order of Read, those of other steps than the wanted
// ones left out; each has a place, counted from 0 among all of the metric's
// numbers. A bucket holds those whose places begin with the same multiple of
// 2^k, for the least k that will do. So zooming in refines buckets and never
// moves their borders. Of a sealed metric it reads some kilobytes, also where
// it has millions of points; else it reads the points. Errors: ErrNotFound when
// nothing was logged under the name; as Read.
func (l *Log) Chart(ctx context.Context, name string, opts *ChartOptions) ([]Bucket, error) {
	if opts == nil {
		opts = &ChartOptions{}
	}
	c := &charting{limit: opts.Points, size: 1}
	switch {
	case opts.Points < 0:
		return nil, fmt.Errorf("%w: a chart of %d points: use a positive number", azml.ErrInvalid, opts.Points)
	case opts.Points == 0:
		c.limit = 1000
	}
	for range maxPlans {
		done, err := l.sealedChart(ctx, name, opts.Steps, c)
		switch {
		case errors.Is(err, azml.ErrNotFound): // sealed anew meanwhile
			*c = charting{limit: c.limit, size: 1}
			continue
		case err != nil:
			return nil, err
		case done:
			return c.buckets, nil
		}
		break
	}
	return l.pointsChart(ctx, name, opts.Steps, c)
}

// pointsChart reads the points.
func (l *Log) pointsChart(ctx context.Context, name string, steps *StepRange, c *charting) ([]Bucket, error) {
	place, found := int64(0), false
	for h, err := range l.entries(ctx, &ReadOptions{Names: []string{name}}) {
		if err != nil {
			return nil, err
		}
		if h.series.name != name {
			continue
		}
		found = true
		v, ok := number(h.series.typ, h.bits)
		if !ok || h.series.kind != codeScalar {
			continue
		}
		if steps.holds(h.step) {
			b := pointBucket(h.step, v)
			c.add(place, &b)
		}
		place++
	}
	if !found {
		return nil, errNoMetric(name)
	}
	return c.buckets, nil
}

func errNoMetric(name string) error {
	return fmt.Errorf("%w: nothing was logged as %q", azml.ErrNotFound, name)
}

// sealedChart makes the chart from what is sealed; false when there is more, or
// less, than that.
func (l *Log) sealedChart(ctx context.Context, name string, steps *StepRange, c *charting) (bool, error) {
	files, err := l.spool.list()
	if err != nil || len(files) > 0 {
		return false, err
	}
	there, err := l.contents(ctx)
	if err != nil || there.sealed == nil || len(there.segments) > 0 {
		return false, err
	}
	d, err := l.openDigest(ctx, there.sealed)
	if errors.Is(err, azml.ErrDamaged) {
		l.logger.WarnContext(ctx, "charts of sealed metrics can't be read; reading the points", "error", err)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	m := d.metrics[name]
	if m == nil {
		return false, nil
	}
	return true, l.chartOf(ctx, there.sealed, d, m, steps, c)
}

// chartOf fills the chart from the highest level that is fine enough, and from
// points where a bucket holds other steps, too.
func (l *Log) chartOf(ctx context.Context, s *sealed, d *digest, m *metricDigest, steps *StepRange, c *charting) error {
	wanted := []span{{0, math.MaxInt64}} // of places, those to read as points
	for i := len(m.stored) - 1; i >= 0; i-- {
		level, err := d.level(m.stored[i])
		if err != nil {
			return err
		}
		size := int64(baseNumbers) << (2 * i)
		within, partly := parted(level, size, steps)
		if 2*len(within)-1 > c.limit { // at half the size there would be too many
			c.size = size
			return l.mixed(ctx, s, m, steps, c, level, size, partly)
		}
		if i == 0 {
			wanted = merged(within, partly, size)
		}
	}
	return l.numbers(ctx, s, m, wanted, func(place, step int64, v float64) {
		if steps.holds(step) {
			b := pointBucket(step, v)
			c.add(place, &b)
		}
	})
}

// parted tells which buckets of a level hold only wanted steps, and the places
// of those that hold others, too.
func parted(level []Bucket, size int64, steps *StepRange) (within []int, partly []span) {
	for i := range level {
		b := &level[i]
		switch {
		case steps.holds(b.FirstStep) && steps.holds(b.LastStep):
			within = append(within, i)
		case b.LastStep >= steps.First && b.FirstStep <= steps.Last:
			partly = joined(partly, span{int64(i) * size, int64(i+1) * size})
		}
	}
	return within, partly
}

// merged gives the places of both kinds of buckets.
func merged(within []int, partly []span, size int64) []span {
	var out []span
	for _, i := range within {
		s := span{int64(i) * size, int64(i+1) * size}
		for len(partly) > 0 && partly[0].from < s.from {
			out, partly = joined(out, partly[0]), partly[1:]
		}
		out = joined(out, s)
	}
	for _, s := range partly {
		out = joined(out, s)
	}
	return out
}

// mixed fills the chart with buckets of a level, and with points at the places
// that are partly wanted.
func (l *Log) mixed(ctx context.Context, s *sealed, m *metricDigest, steps *StepRange, c *charting, level []Bucket, size int64, partly []span) error {
	next := int64(0)
	until := func(place int64) {
		for ; next < int64(len(level)) && next*size < place; next++ {
			if b := &level[next]; steps.holds(b.FirstStep) && steps.holds(b.LastStep) {
				c.add(next*size, b)
			}
		}
	}
	err := l.numbers(ctx, s, m, partly, func(place, step int64, v float64) {
		until(place)
		if steps.holds(step) {
			b := pointBucket(step, v)
			c.add(place, &b)
		}
	})
	until(math.MaxInt64)
	return err
}

// numbers reads numbers of a sealed metric, those at the places of the spans.
func (l *Log) numbers(ctx context.Context, s *sealed, m *metricDigest, spans []span, take func(place, step int64, v float64)) error {
	if len(spans) == 0 {
		return nil
	}
	r, err := l.openTables(ctx, s, []string{m.first.series.name})
	if err != nil {
		return err
	}
	return r.obj.guard(func() error {
		n := &numberReader{tableReader: r, spans: spans, take: take, dense: m.sum.Count == m.sum.Numbers+m.sum.NaNs}
		for _, g := range r.file.RowGroups() {
			rows, err := r.spans(g)
			if err != nil {
				return err
			}
			for _, s := range rows {
				if err := n.rows(g, s); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// numberReader finds places of a metric in the rows that have its name.
type numberReader struct {
	*tableReader
	spans []span
	take  func(place, step int64, v float64)
	dense bool  // every row is a number
	place int64 // of the next number
}

// rows reads the wanted ones of some rows: where every row is a number, no
// others are read.
func (n *numberReader) rows(g parquet.RowGroup, s span) error {
	if !n.dense {
		return n.read(g, s)
	}
	start := n.place
	for _, wanted := range n.spans {
		from, to := max(wanted.from, start)-start, min(wanted.to, start+s.to-s.from)-start
		if from >= to {
			continue
		}
		n.place = start + from
		if err := n.read(g, span{s.from + from, s.from + to}); err != nil {
			return err
		}
	}
	n.place = start + s.to - s.from
	return nil
}

func (n *numberReader) read(g parquet.RowGroup, s span) error {
	steps := make([]int64, s.to-s.from)
	if err := n.numbers(g, columnStep, s, steps); err != nil {
		return err
	}
	return n.column(g, columnValue, s, func(row int, v parquet.Value) error {
		if v.IsNull() {
			return nil
		}
		for _, wanted := range n.spans {
			if n.place >= wanted.from && n.place < wanted.to {
				n.take(n.place, steps[row], v.Double())
				break
			}
		}
		n.place++
		return nil
	})
}

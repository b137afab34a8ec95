package metrics

import (
	"context"
	"errors"
	"fmt"

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
	// Tally is of the scalar numbers, ints as the nearest float64.
	Tally
	// Sum is the sum of the numbers, so the mean is Sum/Numbers. It is infinite
	// when it is beyond the range of float64.
	Sum float64
}

// Summary gives the summary of each metric by its name, of sealed metrics by
// reading one small object, and of all others by reading the points, as Read
// does, with the same errors. Its memory grows with the number of names only.
func (l *Log) Summary(ctx context.Context) (map[string]Summary, error) {
	sums, cursors, err := l.digested(ctx)
	if err != nil {
		return nil, err
	}
	for e, err := range l.entriesFrom(ctx, cursors, &ReadOptions{}) {
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
		if out[name], err = s.summary(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// digested gives the summaries of what is sealed, and cursors behind it. When
// the digest is damaged the points tell the same.
func (l *Log) digested(ctx context.Context) (map[string]*summing, map[string]*cursor, error) {
	cursors := make(map[string]*cursor)
	s, err := l.readSealed(ctx)
	if s == nil || err != nil {
		return make(map[string]*summing), cursors, err
	}
	d, err := l.openDigest(ctx, s)
	if errors.Is(err, azml.ErrDamaged) || errors.Is(err, azml.ErrNotFound) {
		l.logger.WarnContext(ctx, "summaries of sealed metrics can't be read; reading the points", "error", err)
		return make(map[string]*summing), cursors, nil
	}
	if err != nil {
		return nil, nil, err
	}
	sums := make(map[string]*summing, len(d.metrics))
	for name, m := range d.metrics {
		sums[name] = &m.summing
	}
	for id, w := range s.Writers {
		cursors[id] = &cursor{log: l, writer: id, seq: w.Seq, latest: w.Latest}
	}
	return sums, cursors, nil
}

// summing is a summary on its way. Of the first and the last point it keeps the
// raw form, as decoding each would cost more than all the rest.
type summing struct {
	sum         Summary
	first, last logged
}

// logged is a point with its writer and its place in the order of Read.
type logged struct {
	entry
	writer string
	latest int64
}

// before tells whether a point comes before another in the order of Read.
func (p *logged) before(other *logged) bool {
	return p.order().Before(other.order())
}

func (p *logged) order() Order { return Order{Latest: p.latest, Writer: p.writer, Seq: p.seq} }

// keep takes over a point, with bytes of its own.
func (p *logged) keep(e *logged) {
	blob := append(p.blob[:0], e.blob...)
	*p = *e
	p.blob = blob
}

// add takes a point in. Points come in order, but may come after some that are
// digested already.
func (s *summing) add(h head) error {
	e := &logged{entry: *h.entry, writer: h.writer, latest: h.cursor.latest}
	if s.sum.Count == 0 || e.before(&s.first) {
		if _, err := h.located(); err != nil {
			return err
		}
		s.first.keep(e)
	}
	if s.sum.Count == 0 || s.last.before(e) {
		s.last.keep(e)
	}
	s.sum.Count++
	if e.series.kind != codeScalar {
		return nil
	}
	if v, ok := number(e.series.typ, e.bits); ok && s.sum.Add(v) {
		s.sum.Sum += v
	}
	return nil
}

// summary decodes the first and the last point.
func (s *summing) summary() (sum Summary, err error) {
	sum = s.sum
	for _, p := range []struct {
		from *logged
		to   *Point
	}{{&s.first, &sum.First}, {&s.last, &sum.Last}} {
		if *p.to, err = p.from.point(p.from.writer); err != nil {
			return sum, fmt.Errorf("%w: point %d of writer %s: %w", azml.ErrDamaged, p.from.seq, p.from.writer, err)
		}
	}
	sum.Kind = sum.Last.Kind
	return sum, nil
}

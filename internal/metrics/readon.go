package metrics

import (
	"context"
	"iter"
)

// Place is how far the points of one writer have been read.
type Place struct {
	// Seq is the sequence number of the last point read.
	Seq uint64
	// Segment is the segment in which to go on, 0 when none was read.
	Segment int
	// Offset is where in the segment its next frame begins.
	Offset int64
}

// ReadOn yields the points that have come after places, which tells of each
// writer how far it was read, and moves places on once all of them were taken. An empty map is the
// beginning; later calls, also of other processes, go on from what the last one left. The
// points are those of one look of Read, with its order and errors.
func (l *Log) ReadOn(ctx context.Context, places map[string]Place) iter.Seq2[Point, error] {
	return func(yield func(Point, error) bool) {
		cursors := make(map[string]*cursor)
		defer func() {
			for _, c := range cursors {
				c.close()
			}
		}()
		for writer, p := range places {
			cursors[writer] = &cursor{log: l, writer: writer, seq: p.Seq, segment: p.Segment, offset: p.Offset}
		}
		var bad error
		more, err := l.pass(ctx, cursors, true, func(h head, err error) bool {
			var p Point
			if err == nil {
				p, err = h.located()
			}
			bad = err
			return yield(p, err) && err == nil
		})
		switch {
		case err != nil:
			yield(Point{}, err)
		case more && bad == nil:
			for writer, c := range cursors {
				places[writer] = Place{Seq: c.seq, Segment: c.segment, Offset: c.offset}
			}
		}
	}
}

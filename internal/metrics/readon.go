package metrics

import (
	"context"
	"iter"
)

// Place is how far the points of one writer have been read.
type Place struct {
	// Seq is the sequence number of the last point read.
	Seq uint64
	// Latest is the greatest time of the points read, in nanoseconds since 1970.
	Latest int64
	// Segment is the segment in which to go on, 0 when none was read.
	Segment int
	// Offset is where in the segment its next frame begins.
	Offset int64
}

// ReadOn yields the points that have come after places, which tells of each
// writer how far it was read, and moves places on once all of them were taken.
// An empty map is the beginning; later calls, also of other processes, go on
// from what the last one left. The points are those of one look of Read, with
// its order and errors.
func (l *Log) ReadOn(ctx context.Context, places map[string]Place) iter.Seq2[Point, error] {
	return func(yield func(Point, error) bool) {
		cursors := make(map[string]*cursor)
		for writer, p := range places {
			cursors[writer] = &cursor{log: l, writer: writer, seq: p.Seq, latest: p.Latest, segment: p.Segment, offset: p.Offset}
		}
		for h, err := range l.entriesFrom(ctx, cursors, &ReadOptions{}) {
			var p Point
			if err == nil {
				p, err = h.located()
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
		for writer, c := range cursors {
			places[writer] = Place{Seq: c.seq, Latest: c.latest, Segment: c.segment, Offset: c.offset}
		}
	}
}

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
	// Spool is how far the writer's spool file on this machine was read, nil when
	// none was or when it has too many names to be noted.
	Spool *SpoolPlace `json:",omitempty"`
}

// Placed is a point with its place among all of the log.
type Placed struct {
	Point
	// Order is the point's place.
	Order Order
}

// Order is the place of a point in the order of Read, by which points of
// several looks can be put together. The zero Order is before all others.
type Order struct {
	// Latest is the greatest time that the writer had logged by then, in
	// nanoseconds since 1970.
	Latest int64
	// Writer is the ID of the writer.
	Writer string
	// Seq is the number of the point among the writer's.
	Seq uint64
}

// Before tells whether a point at o comes before one at p.
func (o Order) Before(p Order) bool {
	switch {
	case o.Seq == 0 || p.Seq == 0:
		return o.Seq < p.Seq
	case o.Latest != p.Latest:
		return o.Latest < p.Latest
	case o.Writer != p.Writer:
		return o.Writer < p.Writer
	}
	return o.Seq < p.Seq
}

// ReadOn yields the points that have come after places, which tells of each
// writer how far it was read, and moves places on once all of them were taken.
// An empty map is the beginning; later calls, also of other processes, go on
// from what the last one left. The points are those of one look of Read, with
// its order and errors.
func (l *Log) ReadOn(ctx context.Context, places map[string]Place) iter.Seq2[Placed, error] {
	return func(yield func(Placed, error) bool) {
		cursors := make(map[string]*cursor)
		for writer, p := range places {
			cursors[writer] = &cursor{log: l, writer: writer, seq: p.Seq, latest: p.Latest, segment: p.Segment, offset: p.Offset, left: p.Spool}
		}
		for h, err := range l.entriesFrom(ctx, cursors, &ReadOptions{}) {
			var p Placed
			if err == nil {
				p.Order = Order{Latest: h.cursor.latest, Writer: h.writer, Seq: h.seq}
				p.Point, err = h.located()
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
		for writer, c := range cursors {
			places[writer] = Place{Seq: c.seq, Latest: c.latest, Segment: c.segment, Offset: c.offset, Spool: c.left}
		}
	}
}

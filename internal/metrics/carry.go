package metrics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"

	"github.com/azml-go/azml"
)

// Carrier brings what one log of a run has and another lacks into the other: the
// logs of one run in two stores. A point is known by its writer and number, so
// what both have is never doubled, in whichever form it is: segments on one side
// and sealed on the other, sealed on both at different times, logged to on both.
// Writers, sealings and other Carriers may be at work meanwhile, on both sides.
// It remembers how far it got, so a further Carry reads only what is new. It is
// not safe for concurrent use.
type Carrier struct {
	to, from *Log
	tails    map[string]*tail // by writer; nil when they must be looked up
	places   map[string]Place // how far from was read
	names    map[series]*series
	scratch  entry
}

// tail is where one writer's points end in the log that is added to.
type tail struct {
	seq     uint64 // the last point
	number  int    // of the last segment, and its size
	size    int64
	appends int  // by this Carrier
	fresh   bool // the segment is not to be gone on with
}

// Carried tells what Carry did.
type Carried struct {
	// Points is the number of points that were added, those of sealed objects
	// among them that were there before in another form.
	Points int64
	// Bytes is the size of what was written.
	Bytes int64
}

// carryTries bounds how often a Carry begins anew because somebody else was at
// work on the same log.
const carryTries = 50

// smallSegment is the size up to which a Carrier goes on with a segment that it
// has not begun: how many appends that took is not known, but it can't be many.
const smallSegment = 64 << 10

// NewCarrier makes a Carrier. It reads nothing.
//
// What is still in spool files on this machine is left out: a store so never lacks
// points of a writer that logs to it, and no Carrier comes into the way of that
// writer's segments, whose numbers are its own.
func NewCarrier(to, from *Log) *Carrier {
	stored := *from
	stored.spool = ""
	return &Carrier{to: to, from: &stored, names: make(map[series]*series)}
}

// Carry adds the points that are missing, sealed ones as they are where that is
// possible. After an error it can be called again. Cost: one listing on each side,
// and on the first time one reading of the last segment of each writer. Errors:
// those of the stores; ErrDamaged when a point can't be read, all before it are
// there then; ErrConflict when others kept on changing the log.
func (c *Carrier) Carry(ctx context.Context) (Carried, error) {
	var sum Carried
	for range carryTries {
		err := c.try(ctx, &sum)
		if err == nil {
			return sum, nil
		}
		c.tails = nil
		if !errors.Is(err, azml.ErrConflict) && !errors.Is(err, azml.ErrExists) {
			return sum, fmt.Errorf("carry metrics to %s: %w", c.to.prefix, err)
		}
		if err := ctx.Err(); err != nil {
			return sum, err
		}
	}
	return sum, fmt.Errorf("%w: the metrics %s were changed by others %d times in a row", azml.ErrConflict, c.to.prefix, carryTries)
}

// Stored tells how many points of each writer the log had after the last Carry.
func (c *Carrier) Stored() map[string]uint64 {
	stored := make(map[string]uint64, len(c.tails))
	for writer, t := range c.tails {
		stored[writer] = t.seq
	}
	return stored
}

func (c *Carrier) try(ctx context.Context, sum *Carried) error {
	mine, err := c.to.contents(ctx)
	if err != nil {
		return err
	}
	if err := c.locate(ctx, mine); errors.Is(err, azml.ErrNotFound) {
		return fmt.Errorf("%w: it was sealed meanwhile: %w", azml.ErrConflict, err)
	} else if err != nil {
		return err
	}
	theirs, err := c.from.contents(ctx)
	if err != nil {
		return err
	}
	if c.replaces(theirs.sealed) {
		err := c.adopt(ctx, mine, theirs.sealed, sum)
		if err != nil && !errors.Is(err, azml.ErrDamaged) && !errors.Is(err, azml.ErrNotFound) {
			return err // what is damaged shows when the points are read, unless it is the digest alone
		}
	}
	return c.ship(ctx, sum)
}

// replaces tells whether sealed metrics have all that the log has, and more.
func (c *Carrier) replaces(s *sealed) bool {
	more := false
	if s != nil {
		for writer, w := range s.Writers {
			t := c.tails[writer]
			more = more || t == nil || t.seq < w.Seq
		}
	}
	for writer, t := range c.tails {
		more = more && t.seq <= s.writer(writer).Seq
	}
	return more
}

// locate brings the tails up to date with what is there.
func (c *Carrier) locate(ctx context.Context, mine *contents) error {
	before := c.tails
	tails := make(map[string]*tail)
	if mine.sealed != nil {
		for writer, w := range mine.sealed.Writers {
			tails[writer] = &tail{seq: w.Seq, number: w.Segment, fresh: true}
		}
	}
	for writer, segments := range mine.segments {
		last := segments[len(segments)-1]
		if t := before[writer]; t != nil && t.number == last.number && t.size == last.info.Size && !t.fresh {
			tails[writer] = t
			continue
		}
		t, err := c.measure(ctx, segments)
		if err != nil {
			return err
		}
		if sealed := tails[writer]; sealed != nil && sealed.number >= t.number {
			t.number, t.fresh = sealed.number, true
		}
		if sealed := tails[writer]; sealed != nil {
			t.seq = max(t.seq, sealed.seq)
		}
		tails[writer] = t
	}
	c.tails = tails
	return nil
}

// measure finds the end of a writer's segments.
func (c *Carrier) measure(ctx context.Context, segments []segment) (*tail, error) {
	last := segments[len(segments)-1]
	t := &tail{number: last.number, size: last.info.Size}
	for i := len(segments) - 1; i >= 0 && t.seq == 0; i-- {
		seq, end, err := c.to.endOf(ctx, segments[i].info.Key)
		if err != nil {
			return nil, err
		}
		if i == len(segments)-1 { // what is torn or damaged is not gone on with
			t.fresh = end != last.info.Size || end > smallSegment
		}
		t.seq = seq
	}
	return t, nil
}

// endOf gives the last point of a segment, 0 when it has none, and where its last
// whole frame ends. What lies behind damage doesn't count.
func (l *Log) endOf(ctx context.Context, key string) (seq uint64, end int64, err error) {
	r, err := openSegment(ctx, l.objects, key, 0)
	if err != nil {
		return 0, 0, err
	}
	defer r.close()
	for {
		h, ok, err := r.header()
		if ok {
			ok, err = r.skip(h)
		}
		if errors.Is(err, azml.ErrDamaged) {
			return seq, r.off, nil
		}
		if !ok || err != nil {
			return seq, r.off, err
		}
		seq = h.last()
	}
}

// ship adds the points that from has beyond the tails, as frames.
func (c *Carrier) ship(ctx context.Context, sum *Carried) error {
	cursors := make(map[string]*cursor)
	for writer, t := range c.tails {
		cursors[writer] = &cursor{log: c.from, writer: writer, seq: t.seq, latest: math.MinInt64}
		if p := c.places[writer]; p.Seq == t.seq {
			cursors[writer].segment, cursors[writer].offset = p.Segment, p.Offset
		}
	}
	batches := make(map[string]*batch)
	var failed error
	for h, err := range c.from.entriesFrom(ctx, cursors, &ReadOptions{}) {
		if err != nil {
			failed = err
			break
		}
		b := batches[h.writer]
		if b == nil {
			b = &batch{}
			batches[h.writer] = b
		}
		b.add(c.named(h.entry))
		if limits := &c.to.limits; b.count() >= limits.framePoints || b.size >= limits.frameBytes {
			if failed = c.send(ctx, h.writer, b, sum); failed != nil {
				break
			}
			delete(batches, h.writer)
		}
	}
	if failed != nil && !errors.Is(failed, azml.ErrDamaged) {
		return failed
	}
	for writer, b := range batches {
		if err := c.send(ctx, writer, b, sum); err != nil {
			return err
		}
	}
	if failed == nil {
		c.places = make(map[string]Place, len(cursors))
		for writer, cur := range cursors {
			c.places[writer] = Place{Seq: cur.seq, Segment: cur.segment, Offset: cur.offset}
		}
	}
	return failed
}

// named gives the entry with the series of its name that batches know: each frame
// that is read brings its own.
func (c *Carrier) named(e *entry) *entry {
	known, ok := c.names[*e.series]
	if !ok {
		known = e.series
		c.names[*known] = known
	}
	c.scratch = *e
	c.scratch.series = known
	return &c.scratch
}

// send appends the batch as a frame to the writer's segment.
func (c *Carrier) send(ctx context.Context, writer string, b *batch, sum *Carried) error {
	t := c.tails[writer]
	if t == nil {
		t = &tail{fresh: true}
		c.tails[writer] = t
	}
	if limits := &c.to.limits; t.fresh || t.size >= limits.segmentBytes || t.appends >= limits.segmentAppends {
		*t = tail{seq: t.seq, number: t.number + 1}
	}
	last, points := b.next()-1, b.count()
	for frame := b.frame(); len(frame) > 0; {
		piece := frame[:min(len(frame), c.to.limits.appendBytes)]
		if _, err := c.to.objects.Append(ctx, segmentKey(c.to.prefix, writer, t.number), t.size, piece); err != nil {
			return fmt.Errorf("append to segment %d of writer %s: %w", t.number, writer, err)
		}
		t.size, t.appends, frame = t.size+int64(len(piece)), t.appends+1, frame[len(piece):]
		sum.Bytes += int64(len(piece))
	}
	t.seq = last
	sum.Points += int64(points)
	c.to.shipped(ctx, points)
	return nil
}

// reached notes that all of the log is sealed now.
func (c *Carrier) reached(s *sealed) {
	c.tails = make(map[string]*tail, len(s.Writers))
	for writer, w := range s.Writers {
		c.tails[writer] = &tail{seq: w.Seq, number: w.Segment, fresh: true}
	}
	maps.DeleteFunc(c.places, func(writer string, p Place) bool { return p.Seq != s.writer(writer).Seq })
}

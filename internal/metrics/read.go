package metrics

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/azml-go/azml"
)

// ReadOptions are the options of Log.Read. The zero value reads everything
// that is there, and ends.
type ReadOptions struct {
	// Names are the metrics wanted; empty means all.
	Names []string
	// Kinds are the kinds wanted; empty means all.
	Kinds []Kind
	// Since leaves out points with an earlier time.
	Since time.Time
	// Follow goes on with points as they come, until ctx is done or Done says
	// that the run has ended.
	Follow bool
	// Done, when Follow is set, tells whether no more points will come. It is
	// asked before each look, so what was logged before is still given; its
	// error ends the reading. Nil means that only ctx ends.
	Done func() (bool, error)
	// Poll, when Follow is set, is the time between looks, 500 ms by default.
	// A look lists the log's objects (one request) and the spool folder.
	Poll time.Duration
}

// Read yields the points of all writers, each once: those in the store, and
// those that are still in spool files on this machine, so that a program reads
// what it has logged. Points come by time; those of one writer always in the
// order they were logged. With Follow, this holds for the points found in one
// look. It reads lazily, keeps one frame of each writer in memory, starts no
// goroutine and can be ranged again. An error comes once, as the last pair.
// A last frame or record that was cut off is left out. Errors: ErrDamaged,
// naming object and offset, for anything else that is not as it was written
// and for points that are missing; ErrNotFound when the log is deleted while it
// is read; those of the store; ctx's.
func (l *Log) Read(ctx context.Context, opts *ReadOptions) iter.Seq2[Point, error] {
	if opts == nil {
		opts = &ReadOptions{}
	}
	return func(yield func(Point, error) bool) {
		wanted := opts.filter()
		for e, err := range l.entries(ctx, opts) {
			if err == nil && !wanted(e.entry) {
				continue
			}
			var p Point
			if err == nil {
				p, err = e.located()
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// filter gives a test for the points wanted.
func (o *ReadOptions) filter() func(*entry) bool {
	names := make(map[string]bool, len(o.Names))
	for _, name := range o.Names {
		names[name] = true
	}
	since, err := unixNano(o.Since)
	bounded := !o.Since.IsZero() && err == nil
	return func(e *entry) bool {
		return (len(names) == 0 || names[e.series.name]) &&
			(len(o.Kinds) == 0 || slices.Contains(o.Kinds, e.series.kind.kind())) &&
			(!bounded || e.time >= since)
	}
}

// head is the next point of one writer. Its blob is good until the writer's
// next point is read.
type head struct {
	*entry
	writer string
	cursor *cursor
}

// located gives the point, and with an error the place of its frame or record.
func (h head) located() (Point, error) {
	p, err := h.point(h.writer)
	if err != nil {
		object, offset := h.cursor.place()
		return p, damagedAt(object, offset, fmt.Errorf("point %d of writer %s: %w", h.seq, h.writer, err))
	}
	return p, nil
}

// heads is a heap by time, where a point that is earlier than one its writer has
// logged before goes by the time of that; equal times go by writer.
type heads []head

// Len is for container/heap.
func (h heads) Len() int { return len(h) }

// Less is for container/heap.
func (h heads) Less(i, j int) bool {
	a, b := h[i].cursor.latest, h[j].cursor.latest
	return a < b || a == b && h[i].writer < h[j].writer
}

// Swap is for container/heap.
func (h heads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for container/heap; heads are only made whole.
func (h *heads) Push(x any) { *h = append(*h, x.(head)) }

// Pop is for container/heap.
func (h *heads) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// entries yields the points of all writers, merged.
func (l *Log) entries(ctx context.Context, opts *ReadOptions) iter.Seq2[head, error] {
	return func(yield func(head, error) bool) {
		l.entriesFrom(ctx, make(map[string]*cursor), opts)(yield)
	}
}

// entriesFrom is entries behind what the cursors have read. It can be ranged
// once.
func (l *Log) entriesFrom(ctx context.Context, cursors map[string]*cursor, opts *ReadOptions) iter.Seq2[head, error] {
	return func(yield func(head, error) bool) {
		defer func() {
			for _, c := range cursors {
				c.close()
			}
		}()
		for {
			last, err := opts.last()
			more := false
			if err == nil {
				more, err = l.pass(ctx, &pass{log: l, cursors: cursors, names: opts.Names, last: last}, yield)
			}
			if err == nil && more && !last {
				err = pause(ctx, opts.Poll)
			}
			if err != nil {
				yield(head{}, err)
				return
			}
			if !more || last {
				return
			}
		}
	}
}

// last tells whether the look that comes next is the last one.
func (o *ReadOptions) last() (bool, error) {
	switch {
	case !o.Follow:
		return true, nil
	case o.Done == nil:
		return false, nil
	}
	return o.Done()
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		d = 500 * time.Millisecond
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("follow metrics: %w", ctx.Err())
	case <-t.C:
		return nil
	}
}

// pass is one look at what is there.
type pass struct {
	log     *Log
	cursors map[string]*cursor
	names   []string // of sealed points only these are wanted, when not empty
	last    bool
	plans   int
	sealed  bool // the log was sealed when it was planned
}

// maxPlans bounds how often a pass begins anew because the log was sealed under
// its eyes.
const maxPlans = 20

// next gives the writer's next point. When an object is gone, the log was
// sealed, and the pass goes on with what is there now; or it was deleted. It
// also looks again for
// points that are missing: a listing that was made while segments were written
// may show the later one of two and not the earlier.
func (p *pass) next(ctx context.Context, c *cursor, e *entry) (bool, error) {
	for {
		ok, err := c.next(ctx, e)
		gap, isGap := errors.AsType[*gapError](err)
		unsure := errors.Is(err, azml.ErrNotFound) || isGap && c.gap < gap.from
		if !unsure || p.plans == maxPlans {
			return ok, err
		}
		if isGap {
			c.again()
			c.gap = gap.from
		}
		for _, other := range p.cursors {
			other.drop()
		}
		if err := p.plan(ctx); err != nil {
			return false, err
		}
		if !isGap && !p.sealed {
			return false, err
		}
	}
}

// pass yields what is there beyond the cursors, false when yield had enough.
func (l *Log) pass(ctx context.Context, p *pass, yield func(head, error) bool) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("read metrics: %w", err)
	}
	if err := p.plan(ctx); err != nil {
		return false, err
	}
	h, err := p.heads(ctx)
	if err != nil {
		return false, err
	}
	for n := 1; len(h) > 0; n++ {
		if !yield(h[0], nil) {
			return false, nil
		}
		if n%1024 == 0 && ctx.Err() != nil {
			return false, fmt.Errorf("read metrics: %w", ctx.Err())
		}
		ok, err := p.next(ctx, h[0].cursor, h[0].entry)
		if err != nil {
			return false, err
		}
		if !ok {
			heap.Pop(&h)
		} else if len(h) > 1 {
			heap.Fix(&h, 0)
		}
	}
	return true, nil
}

// heads reads the first point of each writer. A plan made on the way may bring
// further writers.
func (p *pass) heads(ctx context.Context) (heads, error) {
	var h heads
	begun := make(map[string]bool)
	for len(begun) < len(p.cursors) {
		for writer, c := range p.cursors {
			if begun[writer] {
				continue
			}
			begun[writer] = true
			e := new(entry)
			ok, err := p.next(ctx, c, e)
			if err != nil {
				return nil, err
			}
			if ok {
				h = append(h, head{entry: e, writer: writer, cursor: c})
			}
		}
	}
	heap.Init(&h)
	return h, nil
}

// plan sets the cursors' sources, with new cursors for new writers.
func (p *pass) plan(ctx context.Context) error {
	p.plans++
	l := p.log
	files, err := l.spool.snapshot()
	if err != nil {
		return err
	}
	fresh := make(map[string][]*spoolReader)
	failed := func(err error) error {
		for _, readers := range fresh {
			for _, r := range readers {
				r.close()
			}
		}
		return err
	}
	for writer, numbers := range files {
		if fresh[writer], err = p.cursor(writer).openSpools(numbers); err != nil {
			return failed(err)
		}
	}
	there, err := l.contents(ctx)
	if err != nil {
		return failed(err)
	}
	p.sealed = there.sealed != nil
	for writer := range there.segments {
		p.cursor(writer)
	}
	if there.sealed != nil {
		for writer := range there.sealed.Writers {
			p.cursor(writer)
		}
	}
	cache := &groupCache{log: l, sealed: there.sealed, names: p.names, ctx: ctx}
	for writer, c := range p.cursors {
		c.plan(files[writer], fresh[writer], cache, there.segments[writer], p.last)
	}
	return nil
}

func (p *pass) cursor(writer string) *cursor {
	if p.cursors[writer] == nil {
		p.cursors[writer] = p.log.newCursor(writer)
	}
	return p.cursors[writer]
}

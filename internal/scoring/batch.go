package scoring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Batching says how requests are sent to a scorer together. Those that find all
// its slots busy wait for the next batch. With a free slot one waits for others
// only while what was measured says that it pays, and no more go together than are
// likely to end within their time, see costs.
type Batching struct {
	// Slots is how many batches run at once; default 1.
	Slots int
	// Most is how many requests a batch has at most, or rows of tensors; default 32. With 1
	// each is sent alone.
	Most int
	// Wait is how long a request waits for others though a slot is free; default
	// 2 ms, less than 0 for not at all.
	Wait time.Duration
	// Whole says that the requests of a batch that failed are not tried one by one.
	Whole bool
}

const (
	defaultMostTogether = 32
	defaultBatchWait    = 2 * time.Millisecond
	// maxBatchBytes bounds what the requests of a batch hold together, but for one alone.
	maxBatchBytes = 8 << 20
)

func (b Batching) withDefaults() Batching {
	b.Slots, b.Most, b.Wait = cmp.Or(b.Slots, 1), cmp.Or(b.Most, defaultMostTogether), cmp.Or(b.Wait, defaultBatchWait)
	return b
}

// ahead is how many requests the scorer is to be given beyond those that its slots
// count, so that the next batch gathers while all are busy; see router.Ahead.
func (b Batching) ahead() int { return (b.Slots+1)*b.Most - b.Slots }

// outcome is what a request of a batch gets.
type outcome[O any] struct {
	value O
	err   error
}

// batcher gathers requests into batches. One of a batch's own goroutines runs it,
// so that a request that finds a free slot is scored without another goroutine. It
// is safe for concurrent use.
type batcher[I, O any] struct {
	Batching
	// run scores a batch. It gives an outcome for each, or an error for all.
	run func(ctx context.Context, in []I) ([]outcome[O], error)

	mu      sync.Mutex
	waiting []*member[I, O] // the first came first
	busy    int             // slots
	until   time.Time       // a free slot waits for others at the latest
	timer   *time.Timer     // ends that; nil when no slot does so
	costs   costs
}

// member is a request on its way through a batch.
type member[I, O any] struct {
	ctx    context.Context //nolint:containedctx // the request's own
	begin  func()          // begins the request's time, unless nil
	limit  time.Duration   // how long that is; 0 for no limit
	in     I
	weight int    // how much it counts for Most
	bytes  int    // how large it is
	kind   string // only requests of one kind go together
	alone  bool   // it has ended a replica: whoever is with it would suffer
	out    outcome[O]
	// turn gets the batch that this request's goroutine is to run, or nil when out
	// is there.
	turn chan []*member[I, O]
}

// together gives how many requests go in the time of one, as far as that was measured:
// a full batch's against as many of one each.
func (b *batcher[I, O]) together() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	fixed, each := b.costs.line()
	most := float64(b.Most)
	if all := fixed + each*most; all > 0 {
		return max(1, int(most*(fixed+each)/all))
	}
	return 1
}

// do scores a request together with others, and gives what it gets.
func (b *batcher[I, O]) do(m *member[I, O]) (O, error) {
	m.turn = make(chan []*member[I, O], 1)
	b.mu.Lock()
	b.costs.arrived(time.Now())
	b.waiting = append(b.waiting, m)
	b.dispatch(time.Now())
	b.mu.Unlock()
	select {
	case batch := <-m.turn:
		return b.lead(m, batch)
	default: // whoever waits for a context's end makes it cost something
	}
	select {
	case batch := <-m.turn:
		return b.lead(m, batch)
	case <-m.ctx.Done():
	}
	if b.leave(m) {
		return m.out.value, m.ctx.Err()
	}
	return b.lead(m, <-m.turn)
}

// lead runs the batch, if the request is to, and gives what it gets.
func (b *batcher[I, O]) lead(m *member[I, O], batch []*member[I, O]) (O, error) {
	if batch != nil {
		b.score(batch)
	}
	return m.out.value, m.out.err
}

// leave takes a request out of those that wait; false when it is in a batch.
func (b *batcher[I, O]) leave(m *member[I, O]) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.Index(b.waiting, m)
	if at >= 0 {
		b.waiting = slices.Delete(b.waiting, at, at+1)
	}
	return at >= 0
}

// dispatch gives free slots to those that wait, unless it pays to wait for others. It
// is called with the lock held.
func (b *batcher[I, O]) dispatch(now time.Time) {
	for b.busy < b.Slots && len(b.waiting) > 0 {
		batch, weight, left := b.next(now)
		if weight < b.Most && !batch[0].alone && len(batch) == len(b.waiting) && b.costs.fits(weight+1, left) && b.gathers(now, weight) {
			return
		}
		if b.timer != nil {
			b.timer.Stop()
			b.timer = nil
		}
		b.waiting = slices.DeleteFunc(b.waiting, func(m *member[I, O]) bool { return slices.Contains(batch, m) })
		b.busy++
		batch[0].turn <- batch
	}
}

// next gives the requests of the next batch: those of the first one's kind, in their
// order, as many as may go together and are likely to end in the time that is left for
// each of them.
func (b *batcher[I, O]) next(now time.Time) (batch []*member[I, O], weight int, left time.Duration) {
	first := b.waiting[0]
	left = first.left(now)
	bytes := 0
	for _, m := range b.waiting {
		shortest := min(left, m.left(now))
		if m != first && (first.alone || m.alone || m.kind != first.kind || weight+m.weight > b.Most || bytes+m.bytes > maxBatchBytes ||
			!b.costs.fits(weight+m.weight, shortest)) {
			continue
		}
		batch = append(batch, m)
		weight += m.weight
		bytes += m.bytes
		left = shortest
	}
	return batch, weight, left
}

// left gives how long the request may take if it begins now.
func (m *member[I, O]) left(now time.Time) time.Duration {
	left := m.limit
	if left == 0 {
		left = math.MaxInt64
	}
	if own, ok := m.ctx.Deadline(); ok {
		left = min(left, own.Sub(now))
	}
	return left
}

// gathers tells whether a free slot waits for more requests than those of this
// weight, and has it end at its time.
func (b *batcher[I, O]) gathers(now time.Time, weight int) bool {
	if b.timer == nil {
		b.until = now.Add(b.Wait)
	}
	pause := min(b.until.Sub(now), b.costs.patience())
	if b.Wait <= 0 || pause <= 0 || !b.costs.pays(weight) {
		return false
	}
	if b.timer != nil {
		b.timer.Stop()
	}
	var timer *time.Timer
	timer = time.AfterFunc(pause, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.timer == timer { // else somebody has dispatched meanwhile
			b.until = time.Time{}
			b.dispatch(time.Now())
		}
	})
	b.timer = timer
	return true
}

// score runs a batch, frees its slot and hands out what each request gets.
func (b *batcher[I, O]) score(batch []*member[I, O]) {
	in := make([]I, len(batch))
	weight := 0
	for i, m := range batch {
		in[i] = m.in
		weight += m.weight
		if m.begin != nil {
			m.begin()
		}
	}
	ctx, end := together(batch)
	began := time.Now()
	outs, err := b.safely(ctx, in)
	took := time.Since(began)
	again := err != nil && len(batch) > 1 && !b.Whole && ctx.Err() == nil && !errors.Is(err, errNotStarted) && !errors.Is(err, errWorkerDied)
	for i, m := range batch {
		switch {
		case again:
			m.out = b.one(m)
		case err != nil:
			m.out.err = err
		default:
			m.out = outs[i]
		}
	}
	end()
	b.mu.Lock()
	b.busy--
	switch {
	case err == nil:
		b.costs.note(began.Add(took), weight, took)
	case weight > 1 && errors.Is(err, context.DeadlineExceeded):
		b.costs.late(began.Add(took), weight, took)
	}
	b.dispatch(time.Now())
	b.mu.Unlock()
	for _, m := range batch[1:] {
		m.turn <- nil
	}
}

// one tries a request of a batch that failed by itself.
func (b *batcher[I, O]) one(m *member[I, O]) outcome[O] {
	if err := m.ctx.Err(); err != nil { // nobody waits for it any more
		return outcome[O]{err: err}
	}
	outs, err := b.safely(m.ctx, []I{m.in})
	if err != nil {
		return outcome[O]{err: err}
	}
	return outs[0]
}

// safely runs a batch, and turns a panic and a wrong number of outcomes into errors.
func (b *batcher[I, O]) safely(ctx context.Context, in []I) (outs []outcome[O], err error) {
	defer func() {
		if v := recover(); v != nil {
			outs, err = nil, fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	outs, err = b.run(ctx, in)
	if err == nil && len(outs) != len(in) {
		err = fmt.Errorf("a batch of %d requests got %d answers", len(in), len(outs))
	}
	return outs, err
}

// together gives a context that ends when those of all requests have, and with the
// time of the first.
func together[I, O any](batch []*member[I, O]) (ctx context.Context, end func()) {
	if len(batch) == 1 {
		return batch[0].ctx, func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	if deadline, ok := batch[0].ctx.Deadline(); ok {
		cancel()
		ctx, cancel = context.WithDeadline(context.Background(), deadline)
	}
	var left atomic.Int32
	left.Store(int32(len(batch)))
	stops := make([]func() bool, len(batch))
	for i, m := range batch {
		stops[i] = context.AfterFunc(m.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}

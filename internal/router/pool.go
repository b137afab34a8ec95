package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/azml-go/azml"
)

// Replica is one of the things that answer a deployment's requests.
type Replica interface {
	// Ready gives nil when the replica can be given a request now, else why
	// not. It is called often, and returns at once. Whoever makes a replica
	// ready again calls Pool.Wake.
	Ready() error
}

// Ahead is a replica that may be given requests before it is done with others.
type Ahead interface {
	// Ahead gives how many requests beyond its limit the replica is to be given
	// now, so that it need not wait for the next one. It is called often, and
	// returns at once.
	Ahead() int
}

// Together is a replica that answers several requests at once in about the time of one.
type Together interface {
	// Together gives how many. It is called often, and returns at once.
	Together() int
}

// The reasons why no replica was given.
var (
	// ErrQueueFull says that as many requests wait as may.
	ErrQueueFull = fmt.Errorf("%w: too many requests are waiting", azml.ErrUnavailable)
	// ErrQueueWait says that no replica became free in time.
	ErrQueueWait = fmt.Errorf("%w: no replica became free in time", azml.ErrUnavailable)
	// ErrDrained says that the deployment takes no more requests.
	ErrDrained = fmt.Errorf("%w: the deployment is no longer served", azml.ErrClosed)
)

// Stats counts replicas and requests of a pool at one moment.
type Stats struct {
	// Replicas counts all replicas.
	Replicas int
	// Ready counts those that can be given requests.
	Ready int
	// Busy counts those with at least one request.
	Busy int
	// Calls counts the requests that replicas have.
	Calls int
	// Queued counts the requests that wait for a replica.
	Queued int
	// Together is how many requests a replica answers in the time of one, 0 when it
	// does not say so.
	Together int
}

// Lease is a replica that one request has.
type Lease[R Replica] struct {
	// Replica is the replica.
	Replica R
	limit   int
	ahead   Ahead // nil when it takes no requests beyond its limit
	calls   int
	removed bool
	idle    chan struct{} // closed when removed and without requests
}

// Pool hands requests to the least busy ready replica; those that have to wait
// are served in the order in which they came. It is safe for concurrent use.
type Pool[R Replica] struct {
	maxQueue int
	wait     time.Duration
	missed   func() // called when a request has to wait, unless nil

	mu       sync.Mutex
	replicas []*Lease[R]
	queue    []chan *Lease[R]
	turn     int
	drained  bool
	empty    chan struct{} // closed when drained and nothing waits or runs
	calls    int
}

// NewPool makes a pool without replicas. A request waits for wait at most, and
// maxQueue at once.
func NewPool[R Replica](maxQueue int, wait time.Duration) *Pool[R] {
	return &Pool[R]{maxQueue: maxQueue, wait: wait, empty: make(chan struct{})}
}

// Add puts a replica into service, which gets limit requests at once; any number
// when that is 0.
func (p *Pool[R]) Add(r R, limit int) *Lease[R] {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &Lease[R]{Replica: r, limit: limit, idle: make(chan struct{})}
	l.ahead, _ = any(r).(Ahead)
	p.replicas = append(p.replicas, l)
	p.dispatch()
	return l
}

// Remove takes a replica out of service: one that is not ready, or else the
// least busy. It gives it with a channel that is closed when its last request
// has ended; nil when there is none.
func (p *Pool[R]) Remove() (*Lease[R], <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := -1
	for i, l := range p.replicas {
		if at < 0 || rank(l) < rank(p.replicas[at]) {
			at = i
		}
	}
	if at < 0 {
		return nil, nil
	}
	l := p.replicas[at]
	p.replicas = slices.Delete(p.replicas, at, at+1)
	if l.removed = true; l.calls == 0 {
		close(l.idle)
	}
	return l, l.idle
}

// rank orders replicas by what their end would cost.
func rank[R Replica](l *Lease[R]) int {
	if l.Replica.Ready() != nil {
		return -1
	}
	return l.calls
}

// Acquire gives a replica, of which the caller then has one of its requests
// until Release. It waits for the pool's time, or for patience when that is
// longer. Errors: ErrQueueFull, ErrQueueWait, ErrDrained, the context's.
func (p *Pool[R]) Acquire(ctx context.Context, patience time.Duration) (*Lease[R], error) {
	p.mu.Lock()
	if p.drained {
		p.mu.Unlock()
		return nil, ErrDrained
	}
	if len(p.queue) == 0 {
		if l := p.pick(); l != nil {
			p.give(l)
			p.mu.Unlock()
			return l, nil
		}
	}
	// A request that was accepted once, and lost its replica, is not refused
	// because others wait.
	if len(p.queue) >= p.maxQueue && patience <= p.wait {
		p.mu.Unlock()
		return nil, ErrQueueFull
	}
	turn := make(chan *Lease[R], 1)
	p.queue = append(p.queue, turn)
	p.mu.Unlock()
	if p.missed != nil {
		p.missed()
	}
	return p.await(ctx, turn, max(patience, p.wait))
}

func (p *Pool[R]) await(ctx context.Context, turn chan *Lease[R], patience time.Duration) (*Lease[R], error) {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case l := <-turn:
		return l, nil
	case <-limit.C:
		return p.leave(turn, ErrQueueWait)
	case <-ctx.Done():
		return p.leave(turn, ctx.Err())
	}
}

// leave takes a request out of the queue, unless it was just given a replica.
func (p *Pool[R]) leave(turn chan *Lease[R], why error) (*Lease[R], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case l := <-turn:
		return l, nil
	default:
	}
	p.queue = slices.DeleteFunc(p.queue, func(other chan *Lease[R]) bool { return other == turn })
	p.ended()
	return nil, why
}

// Release ends a request's use of its replica.
func (p *Pool[R]) Release(l *Lease[R]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.calls--
	p.calls--
	if l.removed && l.calls == 0 {
		close(l.idle)
	}
	p.dispatch()
	p.ended()
}

// Wake gives those that wait the replicas that have become ready.
func (p *Pool[R]) Wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dispatch()
}

// Drain refuses all further requests and returns when those that were taken,
// waiting ones too, have ended. Errors: the context's.
func (p *Pool[R]) Drain(ctx context.Context) error {
	p.mu.Lock()
	if !p.drained {
		p.drained = true
		p.ended()
	}
	p.mu.Unlock()
	select {
	case <-p.empty:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: requests are still under way: %w", azml.ErrUnavailable, ctx.Err())
	}
}

// Ready gives nil when some replica is ready to get requests, else why none is.
func (p *Pool[R]) Ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drained {
		return ErrDrained
	}
	err := errors.New("there is no replica")
	for _, l := range p.replicas {
		if err = l.Replica.Ready(); err == nil {
			return nil
		}
	}
	return err
}

// Stats counts replicas and requests.
func (p *Pool[R]) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{Replicas: len(p.replicas), Calls: p.calls, Queued: len(p.queue)}
	for _, l := range p.replicas {
		if several, is := any(l.Replica).(Together); is {
			s.Together = max(s.Together, several.Together())
		}
		if l.Replica.Ready() == nil {
			s.Ready++
		}
		if l.calls > 0 {
			s.Busy++
		}
	}
	return s
}

// The rest is called with the lock held.

// dispatch gives free replicas to those that wait.
func (p *Pool[R]) dispatch() {
	for len(p.queue) > 0 {
		l := p.pick()
		if l == nil {
			return
		}
		p.give(l)
		p.queue[0] <- l
		p.queue = p.queue[1:]
	}
}

func (p *Pool[R]) give(l *Lease[R]) {
	l.calls++
	p.calls++
}

// pick gives the least busy ready replica with room, nil when there is none;
// equally busy ones take turns.
func (p *Pool[R]) pick() *Lease[R] {
	var best *Lease[R]
	for i := range p.replicas {
		l := p.replicas[(p.turn+i)%len(p.replicas)]
		if l.full() || best != nil && best.calls <= l.calls || l.Replica.Ready() != nil {
			continue
		}
		best = l
	}
	p.turn++
	return best
}

// full tells whether the replica has as many requests as it takes now.
func (l *Lease[R]) full() bool {
	return l.limit > 0 && l.calls >= l.limit && (l.ahead == nil || l.calls >= l.limit+l.ahead.Ahead())
}

// ended tells who drains the pool when it is empty.
func (p *Pool[R]) ended() {
	if !p.drained || p.calls > 0 || len(p.queue) > 0 {
		return
	}
	select {
	case <-p.empty:
	default:
		close(p.empty)
	}
}

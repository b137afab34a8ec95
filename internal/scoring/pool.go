package scoring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/azml-go/azml"
)

// readyPoll is how often a waiting request looks whether a replica that was
// not ready has become so; a busy one that becomes free wakes it at once.
const readyPoll = 10 * time.Millisecond

var (
	errQueueFull = fmt.Errorf("%w: too many requests are waiting", azml.ErrUnavailable)
	errQueueWait = fmt.Errorf("%w: no replica became free in time", azml.ErrUnavailable)
	errPoolEnded = fmt.Errorf("%w: the service is stopping", azml.ErrClosed)
)

// replica is one scorer with the number of its calls under way.
type replica struct {
	scorer  Scorer
	limit   int
	busy    int
	removed bool
	gone    chan struct{} // closed when removed and idle
}

// waiter is a request in the queue.
type waiter struct{ slot chan *replica }

// pool hands requests to the least busy ready replica, first come first served.
type pool struct {
	maxWait  time.Duration
	maxQueue int

	mu       sync.Mutex
	replicas []*replica
	queue    []*waiter
	turn     int
	ended    bool
}

// set replaces the scorers. Those that stay keep their calls; the rest gets
// no new ones and is returned.
func (p *pool) set(scorers []Scorer, limit int) (dropped []*replica) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.replicas
	p.replicas = nil
	for _, s := range scorers {
		i := slices.IndexFunc(old, func(r *replica) bool { return r.scorer == s })
		if i >= 0 {
			p.replicas = append(p.replicas, old[i])
			old = slices.Delete(slices.Clone(old), i, i+1)
			continue
		}
		most := s.Traits().MaxConcurrent
		if limit > 0 && (most == 0 || limit < most) {
			most = limit
		}
		p.replicas = append(p.replicas, &replica{scorer: s, limit: most, gone: make(chan struct{})})
	}
	for _, r := range old {
		r.removed = true
		if r.busy == 0 {
			close(r.gone)
		}
	}
	p.dispatch()
	return old
}

// end refuses all further requests and drops all replicas.
func (p *pool) end() []*replica {
	p.mu.Lock()
	p.ended = true
	for _, w := range p.queue {
		close(w.slot)
	}
	p.queue = nil
	p.mu.Unlock()
	return p.set(nil, 0)
}

// acquire waits for a free replica, for at most maxWait.
func (p *pool) acquire(ctx context.Context) (*replica, error) {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return nil, errPoolEnded
	}
	if len(p.queue) == 0 {
		if r := p.pick(); r != nil {
			r.busy++
			p.mu.Unlock()
			return r, nil
		}
	}
	if len(p.queue) >= p.maxQueue {
		p.mu.Unlock()
		return nil, errQueueFull
	}
	w := &waiter{slot: make(chan *replica, 1)}
	p.queue = append(p.queue, w)
	p.mu.Unlock()
	return p.await(ctx, w)
}

func (p *pool) await(ctx context.Context, w *waiter) (*replica, error) {
	limit := time.NewTimer(p.maxWait)
	defer limit.Stop()
	look := time.NewTicker(readyPoll)
	defer look.Stop()
	for {
		select {
		case r := <-w.slot:
			if r == nil {
				return nil, errPoolEnded
			}
			return r, nil
		case <-look.C:
			p.mu.Lock()
			p.dispatch()
			p.mu.Unlock()
		case <-limit.C:
			return p.leave(w, errQueueWait)
		case <-ctx.Done():
			return p.leave(w, ctx.Err())
		}
	}
}

// leave takes w out of the queue, unless it was just given a replica.
func (p *pool) leave(w *waiter, why error) (*replica, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case r := <-w.slot:
		if r == nil {
			return nil, errPoolEnded
		}
		return r, nil
	default:
	}
	p.queue = slices.DeleteFunc(p.queue, func(other *waiter) bool { return other == w })
	return nil, why
}

// release gives a replica back.
func (p *pool) release(r *replica) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.busy--
	if r.removed && r.busy == 0 {
		close(r.gone)
	}
	p.dispatch()
}

// dispatch gives free replicas to those that wait. The lock is held.
func (p *pool) dispatch() {
	for len(p.queue) > 0 {
		r := p.pick()
		if r == nil {
			return
		}
		r.busy++
		p.queue[0].slot <- r
		p.queue = p.queue[1:]
	}
}

// pick gives the least busy ready replica with room, nil when there is none;
// equally busy ones take turns. The lock is held.
func (p *pool) pick() *replica {
	var best *replica
	for i := range p.replicas {
		r := p.replicas[(p.turn+i)%len(p.replicas)]
		if (r.limit > 0 && r.busy >= r.limit) || (best != nil && best.busy <= r.busy) || r.scorer.Ready() != nil {
			continue
		}
		best = r
	}
	p.turn++
	return best
}

// ready gives nil when a replica is ready, else why none is.
func (p *pool) ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := errors.New("the service has no replica")
	for _, r := range p.replicas {
		if err = r.scorer.Ready(); err == nil {
			return nil
		}
	}
	return err
}

// raw says whether the replicas want every method as it is.
func (p *pool) raw() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.replicas) > 0 && p.replicas[0].scorer.Traits().Raw
}

// stats counts replicas and requests.
func (p *pool) stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{Replicas: len(p.replicas), Queued: len(p.queue)}
	for _, r := range p.replicas {
		if r.scorer.Ready() == nil {
			s.Ready++
		}
		if r.busy > 0 {
			s.Busy++
		}
		s.Calls += r.busy
	}
	return s
}

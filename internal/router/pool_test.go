package router

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// thing is a replica that counts how many requests it has at once.
type thing struct {
	down   atomic.Bool
	calls  atomic.Int64
	atOnce atomic.Int64
	most   atomic.Int64
	closed atomic.Bool
}

func (r *thing) Ready() error {
	if r.down.Load() {
		return errors.New("down")
	}
	return nil
}

func (r *thing) Close(context.Context) error {
	if r.closed.Swap(true) || r.atOnce.Load() > 0 {
		return errors.New("closed twice, or while it had a request")
	}
	return nil
}

// use acquires a replica for some time.
func use(ctx context.Context, p *Pool[*thing], took time.Duration) error {
	l, err := p.Acquire(ctx, 0)
	if err != nil {
		return err
	}
	defer p.Release(l)
	r := l.Replica
	if r.closed.Load() {
		return errors.New("a replica was given after its end")
	}
	r.calls.Add(1)
	n := r.atOnce.Add(1)
	defer r.atOnce.Add(-1)
	for most := r.most.Load(); n > most && !r.most.CompareAndSwap(most, n); most = r.most.Load() {
	}
	time.Sleep(took)
	return nil
}

// useMany uses the pool n times at once, for a second each, and gives the errors.
func useMany(t *testing.T, p *Pool[*thing], n int) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = use(t.Context(), p, time.Second) })
	}
	all.Wait()
	return errs
}

func count(errs []error, class error) (n int) {
	for _, err := range errs {
		if errors.Is(err, class) {
			n++
		}
	}
	return n
}

func pool(queue int, wait time.Duration, limit int, things ...*thing) *Pool[*thing] {
	p := NewPool[*thing](queue, wait)
	for _, r := range things {
		p.Add(r, limit)
	}
	return p
}

func TestLeastBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		things := []*thing{{}, {}, {}}
		p := pool(0, time.Second, 0, things...)
		require.Zero(t, count(useMany(t, p, 30), azml.ErrUnavailable))
		for _, r := range things {
			require.EqualValues(t, 10, r.calls.Load())
		}
	})
}

func TestLimitsAndWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &thing{}
		p := pool(100, 1500*time.Millisecond, 2, r)
		started := time.Now()
		require.Equal(t, 2, count(useMany(t, p, 6), ErrQueueWait), "2 run, 2 wait a second, 2 give up")
		require.EqualValues(t, 2, r.most.Load())
		require.Equal(t, 2*time.Second, time.Since(started))
		require.Equal(t, Stats{Replicas: 1, Ready: 1}, p.Stats())

		p = pool(1, 500*time.Millisecond, 1, r)
		errs := useMany(t, p, 6)
		require.Equal(t, 4, count(errs, ErrQueueFull))
		require.Equal(t, 1, count(errs, ErrQueueWait))

		go func() { _ = use(t.Context(), p, time.Second) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, use(ctx, p, 0), context.DeadlineExceeded)
		l, err := p.Acquire(t.Context(), 2*time.Second)
		require.NoError(t, err, "who has more patience waits longer")
		p.Release(l)
	})
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := &thing{}, &thing{}
		p := pool(10, 500*time.Millisecond, 0, a, b)
		a.down.Store(true)
		require.Zero(t, count(useMany(t, p, 4), azml.ErrUnavailable))
		require.Zero(t, a.calls.Load())
		require.Equal(t, 1, p.Stats().Ready)
		b.down.Store(true)
		require.ErrorContains(t, p.Ready(), "down")
		require.Equal(t, 2, count(useMany(t, p, 2), ErrQueueWait))
		time.AfterFunc(300*time.Millisecond, func() { a.down.Store(false); p.Wake() })
		require.Zero(t, count(useMany(t, p, 2), azml.ErrUnavailable), "a replica that comes back serves those that wait")
		require.EqualValues(t, 2, a.calls.Load())
		require.NoError(t, p.Ready())
	})
}

func TestDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := pool(10, 5*time.Second, 1, &thing{})
		var all sync.WaitGroup
		all.Go(func() {
			require.Zero(t, count(useMany(t, p, 3), azml.ErrUnavailable), "those that wait are served, too")
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, p.Drain(ctx), context.DeadlineExceeded)
		require.ErrorIs(t, use(t.Context(), p, 0), ErrDrained)
		begun := time.Now()
		require.NoError(t, p.Drain(t.Context()))
		require.Equal(t, 3*time.Second-time.Millisecond, time.Since(begun))
		all.Wait()
		require.NoError(t, p.Drain(t.Context()), "again")
	})
}

// TestRandomUse: whatever comes, no limit is exceeded, no slot is lost, no
// request waits beyond its limit, and none meets a replica that has ended.
func TestRandomUse(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		rng := rand.New(rand.NewPCG(seed, 0))
		random := func(n int) int { mu.Lock(); defer mu.Unlock(); return rng.IntN(n) }
		things := make([]*thing, 6)
		p := NewPool[*thing](50, 500*time.Millisecond)
		for i := range things {
			things[i] = &thing{}
			p.Add(things[i], i)
		}
		var all sync.WaitGroup
		for range 500 {
			all.Go(func() {
				time.Sleep(time.Duration(random(3000)) * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random(600))*time.Millisecond)
				defer cancel()
				begun := time.Now()
				l, err := p.Acquire(ctx, 0)
				if took := time.Since(begun); took > 500*time.Millisecond {
					t.Errorf("a request waited %v", took)
				}
				if err != nil {
					return
				}
				n := l.Replica.atOnce.Add(1)
				if l.limit > 0 && n > int64(l.limit) || l.Replica.closed.Load() {
					t.Error("too many requests at once, or one after the end")
				}
				time.Sleep(time.Duration(random(300)) * time.Millisecond)
				l.Replica.atOnce.Add(-1)
				p.Release(l)
			})
		}
		for range 200 {
			all.Go(func() {
				time.Sleep(time.Duration(random(3000)) * time.Millisecond)
				things[random(len(things))].down.Store(random(2) == 0)
				p.Wake()
			})
		}
		all.Go(func() {
			time.Sleep(1500 * time.Millisecond)
			l, idle := p.Remove()
			<-idle
			if err := l.Replica.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		stats := p.Stats()
		require.Zero(t, stats.Calls)
		require.Zero(t, stats.Queued)
		require.Equal(t, 5, stats.Replicas)
		require.NoError(t, p.Drain(t.Context()))
	})
}

// hasty is a replica that takes requests ahead.
type hasty struct {
	thing
	ahead atomic.Int64
}

func (r *hasty) Ahead() int { return int(r.ahead.Load()) }

// TestAhead: a replica gets requests beyond its limit as long as it asks for them,
// and those that are free come first.
func TestAhead(t *testing.T) {
	t.Parallel()
	p := NewPool[*hasty](0, time.Minute)
	one, two := &hasty{}, &hasty{}
	p.Add(one, 1)
	p.Add(two, 1)
	one.ahead.Store(2)
	got := map[*hasty]int{}
	var leases []*Lease[*hasty]
	for range 4 {
		l, err := p.Acquire(t.Context(), 0)
		require.NoError(t, err)
		got[l.Replica]++
		leases = append(leases, l)
		if len(leases) == 2 {
			require.Len(t, got, 2)
		}
	}
	require.Equal(t, map[*hasty]int{one: 3, two: 1}, got)
	_, err := p.Acquire(t.Context(), 0)
	require.ErrorIs(t, err, ErrQueueFull)
	one.ahead.Store(0)
	for _, l := range leases {
		p.Release(l)
	}
	require.Zero(t, p.Stats().Calls)
}

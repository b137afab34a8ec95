package scoring

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

// slowScorer takes a second a call and counts how many run at once.
type slowScorer struct {
	limit    int
	down     atomic.Bool
	calls    atomic.Int64
	atOnce   atomic.Int64
	most     atomic.Int64
	duration func() time.Duration
}

func (s *slowScorer) Traits() Traits { return Traits{MaxConcurrent: s.limit} }

func (s *slowScorer) Ready() error {
	if s.down.Load() {
		return errors.New("down")
	}
	return nil
}

func (s *slowScorer) Score(ctx context.Context, _ *Request) (*Response, error) {
	s.calls.Add(1)
	n := s.atOnce.Add(1)
	defer s.atOnce.Add(-1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	wait := time.Second
	if s.duration != nil {
		wait = s.duration()
	}
	select {
	case <-time.After(wait):
		return &Response{}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func newTestServer(t *testing.T, cfg Config, scorers ...Scorer) *Server {
	t.Helper()
	cfg.Replicas = scorers
	s, err := NewServer(cfg)
	require.NoError(t, err)
	return s
}

// callMany scores n times at once and gives the errors.
func callMany(t *testing.T, s *Server, n int) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			_, _, errs[i] = s.dispatch(t.Context(), &Request{})
		})
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

func TestPoolLeastBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, c := &slowScorer{}, &slowScorer{}, &slowScorer{}
		s := newTestServer(t, Config{}, a, b, c)
		require.Zero(t, count(callMany(t, s, 30), azml.ErrUnavailable))
		for _, r := range []*slowScorer{a, b, c} {
			require.EqualValues(t, 10, r.calls.Load())
		}
	})
}

func TestPoolLimitsAndWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &slowScorer{limit: 2}
		s := newTestServer(t, Config{MaxQueueWait: 1500 * time.Millisecond}, a)
		started := time.Now()
		errs := callMany(t, s, 6) // 2 now, 2 after a second, 2 give up
		require.Equal(t, 2, count(errs, azml.ErrUnavailable))
		require.EqualValues(t, 2, a.most.Load())
		require.Equal(t, 2*time.Second, time.Since(started))
		require.Equal(t, Stats{Replicas: 1, Ready: 1}, s.Stats())

		s = newTestServer(t, Config{MaxConcurrent: 1, MaxQueue: 1}, a)
		require.Equal(t, 5, count(callMany(t, s, 6), azml.ErrUnavailable), "one runs, one waits its 500 ms, the others find the queue full")
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _, _, _ = s.dispatch(t.Context(), &Request{}) }()
		synctest.Wait()
		time.AfterFunc(time.Millisecond, cancel)
		_, _, err := s.dispatch(ctx, &Request{})
		require.ErrorIs(t, err, context.Canceled)
		time.Sleep(time.Second)
	})
}

func TestPoolReadiness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := &slowScorer{}, &slowScorer{}
		s := newTestServer(t, Config{}, a, b)
		a.down.Store(true)
		require.Zero(t, count(callMany(t, s, 4), azml.ErrUnavailable))
		require.Zero(t, a.calls.Load())
		require.Equal(t, 1, s.Stats().Ready)
		b.down.Store(true)
		require.Error(t, s.pool.ready())
		require.Equal(t, 2, count(callMany(t, s, 2), errQueueWait))
		time.AfterFunc(300*time.Millisecond, func() { a.down.Store(false) })
		require.Zero(t, count(callMany(t, s, 2), azml.ErrUnavailable), "a replica that comes back serves those that wait")
		require.EqualValues(t, 2, a.calls.Load())
	})
}

func TestSetReplicasDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := &slowScorer{limit: 1}, &slowScorer{limit: 1}
		s := newTestServer(t, Config{}, a, b)
		var all sync.WaitGroup
		all.Go(func() { require.Zero(t, count(callMany(t, s, 2), azml.ErrUnavailable)) })
		synctest.Wait()
		c := &slowScorer{}
		started := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, s.SetReplicas(ctx, []Scorer{b, c}), context.DeadlineExceeded)
		require.NoError(t, s.SetReplicas(t.Context(), []Scorer{c}))
		require.Equal(t, time.Second, time.Since(started))
		all.Wait()
		require.Zero(t, count(callMany(t, s, 2), azml.ErrUnavailable))
		require.EqualValues(t, 2, c.calls.Load())
		require.EqualValues(t, 1, a.calls.Load())
		require.ErrorIs(t, s.SetReplicas(t.Context(), nil), azml.ErrInvalid)

		var waiting sync.WaitGroup
		s = newTestServer(t, Config{}, a)
		waiting.Go(func() { require.Equal(t, 1, count(callMany(t, s, 2), azml.ErrClosed), "the one that waits is refused") })
		synctest.Wait()
		require.NoError(t, s.Shutdown(t.Context()))
		waiting.Wait()
		_, _, err := s.dispatch(t.Context(), &Request{})
		require.ErrorIs(t, err, azml.ErrClosed)
	})
}

// TestPoolRandom: whatever comes, no limit is exceeded, no slot is lost and
// no request waits beyond its limit.
func TestPoolRandom(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		rng := rand.New(rand.NewPCG(seed, 0))
		random := func(n int) int { mu.Lock(); defer mu.Unlock(); return rng.IntN(n) }
		var scorers []Scorer
		for i := range 4 {
			scorers = append(scorers, &slowScorer{limit: i, duration: func() time.Duration { return time.Duration(random(300)) * time.Millisecond }})
		}
		s := newTestServer(t, Config{ScoringTimeout: 250 * time.Millisecond, MaxQueue: 50}, scorers...)
		var all sync.WaitGroup
		for range 500 {
			all.Go(func() {
				time.Sleep(time.Duration(random(3000)) * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random(600))*time.Millisecond)
				defer cancel()
				started := time.Now()
				_, _, _ = s.dispatch(ctx, &Request{})
				if took := time.Since(started); took > 800*time.Millisecond {
					t.Errorf("a request took %v", took)
				}
			})
		}
		for range 200 {
			all.Go(func() {
				time.Sleep(time.Duration(random(3000)) * time.Millisecond)
				scorer := scorers[random(4)].(*slowScorer)
				scorer.down.Store(random(2) == 0)
			})
		}
		all.Wait()
		synctest.Wait()
		stats := s.Stats()
		require.Zero(t, stats.Calls)
		require.Zero(t, stats.Queued)
		for _, scorer := range scorers {
			r := scorer.(*slowScorer)
			if r.limit > 0 {
				require.LessOrEqual(t, r.most.Load(), int64(r.limit))
			}
		}
	})
}

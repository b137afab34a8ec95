package router

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// yard starts things and remembers them.
type yard struct {
	takes time.Duration
	fails atomic.Bool

	mu     sync.Mutex
	tries  int
	things []*thing
}

func (y *yard) start(ctx context.Context) (*thing, error) {
	y.mu.Lock()
	y.tries++
	y.mu.Unlock()
	select {
	case <-time.After(y.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if y.fails.Load() {
		return nil, errors.New("it fails")
	}
	r := &thing{}
	y.mu.Lock()
	defer y.mu.Unlock()
	y.things = append(y.things, r)
	return r, nil
}

func (y *yard) fleet(t *testing.T, scale Scale, limit int, wait time.Duration) *Fleet[*thing] {
	t.Helper()
	f, err := StartFleet(t.Context(), FleetConfig[*thing]{Start: y.start, Limit: limit, MaxQueue: 1000, MaxWait: wait, Scale: scale,
		Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return f
}

// close ends the fleet and checks that every replica was ended once.
func (y *yard) close(t *testing.T, f *Fleet[*thing]) {
	t.Helper()
	require.NoError(t, f.Close(t.Context()))
	for _, r := range y.things {
		require.True(t, r.closed.Load())
	}
}

func TestFleetOfAFixedSize(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y := &yard{takes: time.Second}
		begun := time.Now()
		f := y.fleet(t, Scale{Min: 3, Max: 3}, 1, time.Second)
		require.Equal(t, time.Second, time.Since(begun), "all start at once")
		require.Equal(t, Stats{Replicas: 3, Ready: 3}, f.Stats())
		require.NoError(t, f.Available())
		y.close(t, f)
		require.ErrorIs(t, use(t.Context(), f.Pool, 0), ErrDrained)
	})
}

func TestFleetThatDoesNotStart(t *testing.T) {
	t.Parallel()
	y := &yard{}
	y.fails.Store(true)
	cfg := FleetConfig[*thing]{Start: y.start, Scale: Scale{Min: 2, Max: 2}, Logger: slog.New(slog.DiscardHandler)}
	_, err := StartFleet(t.Context(), cfg)
	require.ErrorContains(t, err, "it fails")
	for name, scale := range map[string]Scale{"none": {}, "less than none": {Min: -1, Max: 1}, "wrong order": {Min: 2, Max: 1},
		"target": {Min: 1, Max: 1, Target: 1.1}, "time": {Min: 1, Max: 1, Period: -1}} {
		cfg.Scale = scale
		_, err := StartFleet(t.Context(), cfg)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
}

// load keeps n requests of a tenth of a second under way for some time.
func load(t *testing.T, f *Fleet[*thing], n int, took time.Duration) (failed int64) {
	var all sync.WaitGroup
	var errs atomic.Int64
	until := time.Now().Add(took)
	for range n {
		all.Go(func() {
			for time.Now().Before(until) {
				if use(t.Context(), f.Pool, 100*time.Millisecond) != nil {
					errs.Add(1)
				}
			}
		})
	}
	all.Wait()
	return errs.Load()
}

func TestScaleUpAndDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y := &yard{takes: 200 * time.Millisecond}
		f := y.fleet(t, Scale{Min: 1, Max: 10, Target: 0.7}, 1, 30*time.Second)
		require.Zero(t, load(t, f, 5, 4*time.Second))
		require.Equal(t, 8, f.Stats().Replicas, "5 busy at 70 %")
		require.Zero(t, load(t, f, 50, 4*time.Second))
		require.Equal(t, 10, f.Stats().Replicas, "no more than the greatest number")
		time.Sleep(55 * time.Second)
		require.Equal(t, 10, f.Stats().Replicas, "they are kept for a minute")
		time.Sleep(10 * time.Second)
		require.Equal(t, 1, f.Stats().Replicas)
		y.close(t, f)
	})
}

func TestScaleToZero(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y := &yard{takes: 2 * time.Second}
		f := y.fleet(t, Scale{Max: 4}, 1, 10*time.Second)
		require.Equal(t, 1, f.Stats().Replicas, "one is started, to see that it does")
		time.Sleep(62 * time.Second)
		require.Zero(t, f.Stats().Replicas)
		require.Error(t, f.Ready())
		require.NoError(t, f.Available(), "who asks will be served")
		begun := time.Now()
		require.NoError(t, use(t.Context(), f.Pool, 0))
		require.Equal(t, 2*time.Second, time.Since(begun))

		time.Sleep(62 * time.Second)
		y.fails.Store(true)
		time.AfterFunc(3*time.Second, func() { y.fails.Store(false) })
		require.NoError(t, use(t.Context(), f.Pool, 0), "a start that fails is tried again")
		y.close(t, f)
	})
}

// TestBackOff: starts that fail are tried again less and less often.
func TestBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y := &yard{}
		f := y.fleet(t, Scale{Min: 1, Max: 2}, 1, 5*time.Minute)
		y.fails.Store(true)
		before := y.tries
		require.Zero(t, load(t, f, 4, 10*time.Minute))
		require.Less(t, y.tries-before, 32, "one every 30 s in the end")
		require.Greater(t, y.tries-before, 20)
		y.close(t, f)
	})
}

// TestNoRequestIsLost: fleets take each other's place under load while they
// scale, and every request is answered.
func TestNoRequestIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y := &yard{takes: 500 * time.Millisecond}
		scale := Scale{Min: 0, Max: 6, Keep: 2 * time.Second}
		var now atomic.Pointer[Fleet[*thing]]
		now.Store(y.fleet(t, scale, 2, 20*time.Second))
		var clients, draining sync.WaitGroup
		var answered atomic.Int64
		until := time.Now().Add(30 * time.Second)
		for range 20 {
			clients.Go(func() {
				for time.Now().Before(until) {
					err := use(t.Context(), now.Load().Pool, 30*time.Millisecond)
					if errors.Is(err, ErrDrained) {
						continue // another fleet has taken its place
					}
					if err != nil {
						t.Error(err)
					}
					answered.Add(1)
					if answered.Load()%2000 == 0 {
						time.Sleep(5 * time.Second)
					}
				}
			})
		}
		for time.Now().Before(until) {
			time.Sleep(3 * time.Second)
			old := now.Swap(y.fleet(t, scale, 2, 20*time.Second))
			draining.Go(func() {
				if err := old.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		clients.Wait()
		draining.Wait()
		require.Greater(t, answered.Load(), int64(5000))
		y.close(t, now.Load())
	})
}

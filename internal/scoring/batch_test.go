package scoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// held is a batch function whose first call waits until it is let go.
type held struct {
	mu      sync.Mutex
	batches [][]string
	started chan struct{} // gets a value when the first call has begun
	release chan struct{}
}

func newHeld() *held { return &held{started: make(chan struct{}, 1), release: make(chan struct{})} }

// score gives each input back. "bad" is an error of its own, a batch with "poison" one of
// all, "panic" a panic.
func (h *held) score(_ context.Context, inputs []json.RawMessage) ([]any, error) {
	var texts []string
	for _, in := range inputs {
		texts = append(texts, string(in))
	}
	h.mu.Lock()
	h.batches = append(h.batches, texts)
	first := len(h.batches) == 1
	h.mu.Unlock()
	if first {
		h.started <- struct{}{}
		<-h.release
	}
	var answers []any
	for _, text := range texts {
		switch text {
		case `"poison"`:
			return nil, errors.New("poison")
		case `"panic"`:
			panic("as asked")
		case `"short"`:
			return nil, nil
		case `"bad"`:
			answers = append(answers, fmt.Errorf("%w: a bad one", azml.ErrInvalid))
		default:
			answers = append(answers, json.RawMessage(text))
		}
	}
	return answers, nil
}

// waiting gives how many requests wait for the next batch.
func (h *batchHandler) waiting() int {
	h.batcher.mu.Lock()
	defer h.batcher.mu.Unlock()
	return len(h.batcher.waiting)
}

// TestBatch: what comes while a batch runs goes together, and each request gets its own.
func TestBatch(t *testing.T) {
	t.Parallel()
	const ok = http.StatusOK
	for name, c := range map[string]struct {
		inputs  []string // after the first one
		want    []int
		cfg     Batching
		batches [][]string // that follow the first; nil for not looked at
	}{
		"together":          {[]string{`1`, `2`, `3`}, []int{ok, ok, ok}, Batching{}, [][]string{{`1`, `2`, `3`}}},
		"limited":           {[]string{`1`, `2`, `3`}, []int{ok, ok, ok}, Batching{Most: 2}, [][]string{{`1`, `2`}, {`3`}}},
		"own error":         {[]string{`1`, `"bad"`, `3`}, []int{ok, 400, ok}, Batching{}, [][]string{{`1`, `"bad"`, `3`}}},
		"no JSON":           {[]string{`{`, `2`}, []int{400, ok}, Batching{}, [][]string{{`2`}}},
		"fails":             {[]string{`1`, `"poison"`}, []int{ok, 500}, Batching{}, [][]string{{`1`, `"poison"`}, {`1`}, {`"poison"`}}},
		"panics":            {[]string{`1`, `"panic"`}, []int{ok, 500}, Batching{}, [][]string{{`1`, `"panic"`}, {`1`}, {`"panic"`}}},
		"too few answers":   {[]string{`1`, `"short"`}, []int{ok, 500}, Batching{}, [][]string{{`1`, `"short"`}, {`1`}, {`"short"`}}},
		"fails, once":       {[]string{`1`, `"poison"`}, []int{500, 500}, Batching{Whole: true}, [][]string{{`1`, `"poison"`}}},
		"too large for one": {[]string{`"` + strings.Repeat("x", maxBatchBytes-1) + `"`, `2`}, []int{ok, ok}, Batching{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHeld()
			scorer := BatchHandler(h.score, c.cfg).(*batchHandler)
			s := serve(t, options{ScoringTimeout: time.Hour}, scorer) // which no batch comes near
			var all sync.WaitGroup
			all.Go(func() { s.ask(t, "POST", "/score", `0`) })
			<-h.started
			got := make([]answer, len(c.inputs))
			waits := 0
			for i, input := range c.inputs {
				all.Go(func() { got[i] = s.ask(t, "POST", "/score", input) })
				if json.Valid([]byte(input)) {
					waits++
				}
				require.Eventually(t, func() bool { return scorer.waiting() == waits }, 20*time.Second, time.Millisecond)
			}
			close(h.release)
			all.Wait()
			for i, input := range c.inputs {
				require.Equal(t, c.want[i], got[i].status, got[i].body)
				if got[i].status == ok {
					require.Equal(t, input, got[i].body)
				}
			}
			if c.batches != nil {
				require.Equal(t, c.batches, h.batches[1:])
			} else {
				require.Len(t, h.batches, 1+len(c.inputs))
			}
		})
	}
}

// TestBatchLeft: whose client has gone leaves the batch, and one that runs ends when all
// of its clients have.
func TestBatchLeft(t *testing.T) {
	t.Parallel()
	h := newHeld()
	scorer := BatchHandler(h.score, Batching{}).(*batchHandler)
	score := func(ctx context.Context, text string) error {
		_, err := scorer.Score(ctx, &Request{Method: http.MethodPost, Body: []byte(text)})
		return err
	}
	first, gone, stays := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { first <- score(t.Context(), `0`) }()
	<-h.started
	ctx, leave := context.WithCancel(t.Context())
	go func() { gone <- score(ctx, `1`) }()
	require.Eventually(t, func() bool { return scorer.waiting() == 1 }, 20*time.Second, time.Millisecond)
	go func() { stays <- score(t.Context(), `2`) }()
	require.Eventually(t, func() bool { return scorer.waiting() == 2 }, 20*time.Second, time.Millisecond)
	leave()
	require.ErrorIs(t, <-gone, context.Canceled)
	close(h.release)
	require.NoError(t, <-first)
	require.NoError(t, <-stays)
	require.Equal(t, [][]string{{`0`}, {`2`}}, h.batches)

	begun := make(chan struct{}, 1)
	waits := BatchHandler(func(ctx context.Context, _ []json.RawMessage) ([]any, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}, Batching{})
	ctx, leave = context.WithCancel(t.Context())
	go func() {
		_, err := waits.Score(ctx, &Request{Method: http.MethodPost, Body: []byte(`1`)})
		gone <- err
	}()
	<-begun
	leave()
	require.ErrorIs(t, <-gone, context.Canceled)
}

// TestTogetherContext: a batch's context ends with the last of its requests.
func TestTogetherContext(t *testing.T) {
	t.Parallel()
	one, endOne := context.WithCancel(t.Context())
	other, endOther := context.WithCancel(t.Context())
	ctx, end := together([]*member[int, int]{{ctx: one}, {ctx: other}})
	defer end()
	endOne()
	require.NoError(t, ctx.Err())
	endOther()
	<-ctx.Done()
}

// TestBatchTimeout: all of a batch that takes too long are told so in time.
func TestBatchTimeout(t *testing.T) {
	t.Parallel()
	h := newHeld()
	scorer := BatchHandler(func(ctx context.Context, inputs []json.RawMessage) ([]any, error) {
		if string(inputs[0]) == `1` {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return h.score(ctx, inputs)
	}, Batching{}).(*batchHandler)
	s := serve(t, options{ScoringTimeout: 300 * time.Millisecond}, scorer)
	var all sync.WaitGroup
	all.Go(func() { s.ask(t, "POST", "/score", `0`) })
	<-h.started
	statuses := make([]int, 2)
	for i := range statuses {
		all.Go(func() { statuses[i] = s.ask(t, "POST", "/score", `1`).status })
	}
	require.Eventually(t, func() bool { return scorer.waiting() == 2 }, 20*time.Second, time.Millisecond)
	close(h.release)
	all.Wait()
	require.Equal(t, []int{http.StatusGatewayTimeout, http.StatusGatewayTimeout}, statuses)
}

// TestBatchesEndInTime: no more requests go together than end within their time, as far as
// that was measured, also when what they cost has changed.
func TestBatchesEndInTime(t *testing.T) {
	t.Parallel()
	const limit = 10 * time.Second
	synctest.Test(t, func(t *testing.T) {
		each := time.Second
		var sizes []int
		scorer := BatchHandler(func(ctx context.Context, inputs []json.RawMessage) ([]any, error) {
			sizes = append(sizes, len(inputs))
			select {
			case <-time.After(each * time.Duration(len(inputs))):
				return make([]any, len(inputs)), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}, Batching{Wait: -1})
		d, err := (&options{ScoringTimeout: limit}).deployment(t.Context(), "slow", scorer)
		require.NoError(t, err)
		round := func() (failed int64) {
			sizes = nil
			var late atomic.Int64
			var all sync.WaitGroup
			for range defaultMostTogether {
				all.Go(func() {
					_, done, err := d.Score(t.Context(), &Request{Method: http.MethodPost, Body: []byte(`1`)}, nil)
					if err != nil {
						late.Add(1)
						return
					}
					done()
				})
			}
			all.Wait()
			return late.Load()
		}
		require.Zero(t, round())
		require.Equal(t, []int{1, 5, 5, 5, 5, 5, 5, 1}, sizes, "half of the time is for what is not as it was")
		each = 4 * time.Second
		require.Equal(t, int64(5), round(), "the first of them, by which that is measured")
		require.Zero(t, round())
		for _, size := range sizes {
			require.LessOrEqual(t, size, 2)
		}
		require.NoError(t, d.Close(t.Context()))
	})
}

// TestCosts: it pays to wait where a batch costs much by itself and requests come often.
func TestCosts(t *testing.T) {
	t.Parallel()
	const us = time.Microsecond
	for name, c := range map[string]struct {
		fixed, each, gap time.Duration
		sizes            []int
		want             map[int]bool // by weight
	}{
		"much at once":          {2000 * us, 10 * us, 50 * us, []int{1, 8, 16}, map[int]bool{1: true, 8: true, 31: true}},
		"each costs the same":   {0, 500 * us, 50 * us, []int{1, 8, 16}, map[int]bool{1: false, 8: false}},
		"requests are rare":     {2000 * us, 10 * us, 5000 * us, []int{1, 2, 3}, map[int]bool{1: false}},
		"up to a size":          {1000 * us, 50 * us, 50 * us, []int{1, 4, 16}, map[int]bool{1: true, 9: true, 10: false}},
		"nothing known of size": {2000 * us, 10 * us, 2000 * us, []int{1}, map[int]bool{1: false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var k costs
			now := time.Now()
			for i := range 200 {
				k.arrived(now)
				now = now.Add(c.gap)
				size := c.sizes[i%len(c.sizes)]
				k.note(now, size, c.fixed+c.each*time.Duration(size))
				now = now.Add(c.gap)
			}
			for weight, want := range c.want {
				require.Equal(t, want, k.pays(weight), "%d %+v", weight, k)
			}
			together := (&batcher[int, int]{Batching: Batching{Most: 32}, costs: k}).together()
			switch name {
			case "much at once":
				require.Greater(t, together, 20, "a batch costs little more than one")
			case "each costs the same":
				require.LessOrEqual(t, together, 2, "nothing is won")
			}
		})
	}
	var none costs
	require.False(t, none.pays(1), "nothing was measured yet")
	require.Equal(t, 1, (&batcher[int, int]{Batching: Batching{Most: 32}}).together(), "nothing was measured yet")
}

// TestBatchingPays: clients that send the next request when they have their answer, by a
// clock of the test's own. Waiting makes them faster where a batch has a fixed cost, and
// costs next to nothing where it has none, or where there is one client.
func TestBatchingPays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		clients     int
		together    int
		fixed, each time.Duration
		least, most float64 // times the requests without waiting
	}{
		"one":           {1, 32, 3 * time.Millisecond, 50 * time.Microsecond, 1, 1},
		"two":           {2, 32, 3 * time.Millisecond, 50 * time.Microsecond, 1.7, 2},
		"eight":         {8, 32, 3 * time.Millisecond, 50 * time.Microsecond, 1.6, 2},
		"more than go":  {8, 4, 3 * time.Millisecond, 50 * time.Microsecond, 0.99, 1.01},
		"nothing fixed": {8, 32, 0, time.Millisecond, 0.97, 1.01},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answered := map[time.Duration]float64{}
			for _, wait := range []time.Duration{-1, 0} {
				synctest.Test(t, func(t *testing.T) {
					scorer := BatchHandler(func(_ context.Context, inputs []json.RawMessage) ([]any, error) {
						time.Sleep(c.fixed + c.each*time.Duration(len(inputs)))
						return make([]any, len(inputs)), nil
					}, Batching{Wait: wait, Most: c.together})
					end := time.Now().Add(2 * time.Second)
					var count atomic.Int64
					var all sync.WaitGroup
					for i := range c.clients {
						all.Go(func() {
							for time.Now().Before(end) {
								time.Sleep(time.Duration(100+37*i%200) * time.Microsecond)
								if _, err := scorer.Score(t.Context(), &Request{Method: http.MethodPost, Body: []byte("1")}); err != nil {
									t.Error(err)
								}
								count.Add(1)
							}
						})
					}
					all.Wait()
					answered[wait] = float64(count.Load())
				})
			}
			times := answered[0] / answered[-1]
			require.GreaterOrEqual(t, times, c.least)
			require.LessOrEqual(t, times, c.most)
		})
	}
}

// TestGather: with a free slot a request waits for others where that pays, and no longer
// than it may.
func TestGather(t *testing.T) {
	t.Parallel()
	const gap = 100 * time.Millisecond
	for name, c := range map[string]struct {
		most    int
		wait    time.Duration
		second  time.Duration // when another one comes
		batches [][]string
		begins  time.Duration // of the first batch
	}{
		"one comes":           {2, time.Second, gap, [][]string{{`1`, `2`}}, gap},
		"one comes, not full": {8, time.Second, gap, [][]string{{`1`, `2`}}, 4 * gap},
		"none comes":          {2, time.Second, time.Hour, [][]string{{`1`}, {`2`}}, 3 * gap},
		"not for so long":     {2, gap / 2, gap, [][]string{{`1`}, {`2`}}, gap / 2},
		"not at all":          {2, -1, gap, [][]string{{`1`}, {`2`}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var batches [][]string
				began := time.Now()
				var begins []time.Duration
				scorer := BatchHandler(func(_ context.Context, inputs []json.RawMessage) ([]any, error) {
					batches, begins = append(batches, nil), append(begins, time.Since(began))
					for _, in := range inputs {
						batches[len(batches)-1] = append(batches[len(batches)-1], string(in))
					}
					time.Sleep(time.Minute)
					return make([]any, len(inputs)), nil
				}, Batching{Most: c.most, Wait: c.wait}).(*batchHandler)
				k := &scorer.batcher.costs
				for _, n := range []int{1, 8} { // a minute for each batch, next to nothing for each request
					k.note(began.Add(-2*gap), n, time.Minute+time.Duration(n))
				}
				k.gap, k.back = gap.Seconds(), 2*gap.Seconds()
				var both sync.WaitGroup
				for text, at := range map[string]time.Duration{`1`: 0, `2`: c.second} {
					both.Go(func() {
						time.Sleep(at)
						_, err := scorer.Score(t.Context(), &Request{Method: http.MethodPost, Body: []byte(text)})
						if err != nil {
							t.Error(err)
						}
					})
				}
				both.Wait()
				require.Equal(t, c.batches, batches)
				require.InDelta(t, c.begins, begins[0], float64(time.Millisecond))
			})
		})
	}
}

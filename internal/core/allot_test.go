package core

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/record"
)

var testSeries = Series{Kind: "model", Name: "m", Prefix: "models/m/"}

func allot(t *testing.T, h Handle, s Series) (int, error) {
	t.Helper()
	n, stored, err := Allot(t.Context(), h, s, false, func(n int) (record.Model, error) {
		return record.Model{Name: s.Name, Version: n}, nil
	})
	if err == nil {
		require.Equal(t, n, stored.Value.Version)
	}
	return n, err
}

// Several handles allot by turns, so that each one's idea of the highest
// number is old most of the time.
func TestAllotAgainstAModel(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	objects := memory.NewObjects()
	handles := []Handle{setup(t, objects), setup(t, objects), setup(t, objects)}
	last := map[string]int{}
	for range 600 {
		s := Series{Kind: "model", Name: "m", Prefix: fmt.Sprintf("models/m%d/", random.IntN(3))}
		h := handles[random.IntN(len(handles))]
		if random.IntN(3) == 0 {
			n, err := s.Last(t.Context(), h)
			require.NoError(t, err)
			require.Equal(t, last[s.Prefix], n)
			continue
		}
		n, err := allot(t, h, s)
		require.NoError(t, err)
		last[s.Prefix]++
		require.Equal(t, last[s.Prefix], n)
	}
	for prefix, want := range last {
		n := want
		for s, err := range Numbers[record.Model](t.Context(), setup(t, objects), Series{Prefix: prefix}) {
			require.NoError(t, err)
			require.Equal(t, n, s.Value.Version)
			n--
		}
		require.Zero(t, n)
	}
}

func TestAllotAtOnceGivesEachNumberOnce(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	const writers, each = 8, 20
	var mu sync.Mutex
	seen := map[int]bool{}
	var all sync.WaitGroup
	for range writers {
		h := setup(t, objects)
		all.Go(func() {
			for range each {
				n, err := allot(t, h, testSeries)
				require.NoError(t, err)
				mu.Lock()
				require.False(t, seen[n], "number %d was given twice", n)
				seen[n] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for n := 1; n <= writers*each; n++ {
		require.True(t, seen[n], "number %d is missing", n)
	}
}

// TestTake takes numbers from several handles at once for records that are made
// beside them: each gets one, and there is no gap.
func TestTake(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	const writers, each = 8, 20
	var all sync.WaitGroup
	var lost atomic.Int64
	for w := range writers {
		h := setup(t, objects)
		all.Go(func() {
			for i := range each {
				ref := experimentRef(fmt.Sprintf("e%d-%d", w, i))
				_, err := CreateAfter(t.Context(), h, ref, func() (record.Experiment, func() error, error) {
					n, taken, err := Take(t.Context(), h, testSeries, record.Model{Name: ref.Name})
					e := experiment(ref.Name)
					e.Title = fmt.Sprint(n)
					return e, func() error {
						err := taken()
						if errors.Is(err, azml.ErrExists) {
							lost.Add(1)
						}
						return err
					}, err
				})
				require.NoError(t, err)
			}
		})
	}
	all.Wait()
	h := setup(t, objects)
	n := writers * each
	for s, err := range Numbers[record.Model](t.Context(), h, testSeries) {
		require.NoError(t, err)
		e, err := Get[record.Experiment](t.Context(), h, experimentRef(s.Value.Name).Key)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(n), e.Value.Title, "the record has the number that was taken for it")
		n--
	}
	require.Zero(t, n)
	require.Len(t, auditLines(t, h), writers*each, "who was late tells it once")
	t.Logf("%d were late", lost.Load())
}

// Failing and lost writes leave no gap: a number that was lost is a record.
func TestAllotOverAFaultyStoreLeavesNoGap(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	inner := memory.NewObjects()
	h := setup(t, faulty.New(inner, faulty.Plan{Seed: seed, Errors: 0.1, Lost: 0.2}))
	sure := 0
	for range 200 {
		if _, err := allot(t, h, testSeries); err == nil {
			sure++
		} else {
			require.ErrorIs(t, err, azml.ErrUnavailable)
		}
	}
	require.Positive(t, sure)
	last, err := testSeries.Last(t.Context(), setup(t, inner))
	require.NoError(t, err)
	require.GreaterOrEqual(t, last, sure)
	for n := 1; n <= last; n++ {
		s, err := Get[record.Model](t.Context(), setup(t, inner), testSeries.Key(n))
		require.NoError(t, err)
		require.Equal(t, n, s.Value.Version)
	}
}

func TestAllotTakesNothingWhenFillFails(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	h := setup(t, objects)
	refusal := errors.New("no")
	_, _, err := Allot(t.Context(), h, testSeries, true, func(int) (record.Model, error) { return record.Model{}, refusal })
	require.ErrorIs(t, err, refusal)
	n, err := testSeries.Last(t.Context(), h)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Empty(t, auditLines(t, h))
}

func TestLastAsksLittle(t *testing.T) {
	t.Parallel()
	inner := memory.NewObjects()
	h := setup(t, inner)
	for range 300 {
		_, err := allot(t, h, testSeries)
		require.NoError(t, err)
	}
	counting := faulty.New(inner, faulty.Plan{})
	fresh := setup(t, counting)
	n, err := testSeries.Last(t.Context(), fresh)
	require.NoError(t, err)
	require.Equal(t, 300, n)
	first := counting.Counts().Stat
	require.LessOrEqual(t, first, 20)
	_, err = testSeries.Last(t.Context(), fresh)
	require.NoError(t, err)
	require.LessOrEqual(t, counting.Counts().Stat-first, 2)
}

func TestSeriesKeysSortAsNumbers(t *testing.T) {
	t.Parallel()
	require.Equal(t, "models/m/0000000007.json", testSeries.Key(7))
	require.Less(t, testSeries.Key(9), testSeries.Key(10))
	require.Equal(t, Ref{Kind: "model", Name: "m:7", Key: testSeries.Key(7)}, testSeries.Ref(7))
}

// Callers of one process don't race each other: each writes once, and who gives
// up waiting takes nothing.
func TestAllotOfOneProcessWritesOncePerNumber(t *testing.T) {
	t.Parallel()
	counting := faulty.New(memory.NewObjects(), faulty.Plan{})
	h := setup(t, counting)
	const callers = 50
	before := counting.Counts().Put
	entered, leave := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		n, _, err := Allot(t.Context(), h, testSeries, false, func(n int) (record.Model, error) {
			close(entered)
			<-leave
			return record.Model{Name: testSeries.Name, Version: n}, nil
		})
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
	<-entered
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := Allot(gone, h, testSeries, false, func(int) (record.Model, error) { return record.Model{}, nil })
	require.ErrorIs(t, err, context.Canceled)
	for range callers {
		all.Go(func() {
			_, err := allot(t, h, testSeries)
			require.NoError(t, err)
		})
	}
	close(leave)
	all.Wait()
	require.Equal(t, callers+1, counting.Counts().Put-before)
	last, err := testSeries.Last(t.Context(), h)
	require.NoError(t, err)
	require.Equal(t, callers+1, last)
	require.Empty(t, h.s.turns)
}

// held is a store in which the write of the first number of testSeries waits until
// it is let go, and that of the second is refused when the first is not there.
type held struct {
	backend.Objects
	second chan struct{} // closed when the second write has begun
	let    chan error    // what the first write gives, nil to do it
}

func (s *held) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	first, second := testSeries.Key(1), testSeries.Key(2)
	if key == second {
		close(s.second)
	}
	if err := opts.Wait(); err != nil {
		return backend.Info{}, err
	}
	switch key {
	case first:
		if err := <-s.let; err != nil {
			return backend.Info{}, err
		}
	case second:
		if _, err := s.Objects.Stat(ctx, first); err != nil {
			return backend.Info{}, err
		}
	}
	return s.Objects.Put(ctx, key, content, opts)
}

// TestTakeBesideTheNumberBefore takes a number while the one before is on its way.
func TestTakeBesideTheNumberBefore(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (*held, Handle, func() error) {
		objects := &held{memory.NewObjects(), make(chan struct{}), make(chan error)}
		h := setup(t, objects)
		n, one, err := Take(t.Context(), h, testSeries, record.Model{Name: "one"})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		return objects, h, one
	}
	t.Run("that gets there", func(t *testing.T) {
		t.Parallel()
		objects, h, one := begin(t)
		allotted := make(chan int)
		n, two, err := Take(t.Context(), h, testSeries, record.Model{Name: "two"})
		require.NoError(t, err)
		require.Equal(t, 2, n)
		<-objects.second
		go func() {
			n, err := allot(t, h, testSeries)
			require.NoError(t, err)
			allotted <- n
		}()
		objects.let <- nil
		require.NoError(t, one())
		require.NoError(t, two())
		require.Equal(t, 3, <-allotted)
		require.Empty(t, h.s.turns)
	})
	t.Run("that does not", func(t *testing.T) {
		t.Parallel()
		objects, h, one := begin(t)
		tries := 0
		two := make(chan error, 1)
		go func() {
			_, err := CreateAfter(t.Context(), h, experimentRef("e"), func() (record.Experiment, func() error, error) {
				if tries++; tries == 2 {
					go func() { objects.let <- nil }()
				}
				n, taken, err := Take(t.Context(), h, testSeries, record.Model{Name: "two"})
				e := experiment("e")
				e.Title = fmt.Sprint(n)
				return e, taken, err
			})
			two <- err
		}()
		<-objects.second
		objects.let <- fmt.Errorf("%w: out of reach", azml.ErrUnavailable)
		require.ErrorIs(t, one(), azml.ErrUnavailable)
		require.NoError(t, <-two)
		require.Equal(t, 2, tries)
		e, err := Get[record.Experiment](t.Context(), h, experimentRef("e").Key)
		require.NoError(t, err)
		require.Equal(t, "1", e.Value.Title)
		last, err := testSeries.Last(t.Context(), h)
		require.NoError(t, err)
		require.Equal(t, 1, last)
		require.Empty(t, h.s.turns)
	})
}

package metrics

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
)

// TestDeletedWhileRead deletes a log under the eyes of a reader: what it has
// given then must not look like all there was.
func TestDeletedWhileRead(t *testing.T) {
	t.Parallel()
	for _, sealed := range []bool{false, true} {
		t.Run(map[bool]string{false: "segments", true: "sealed"}[sealed], func(t *testing.T) {
			t.Parallel()
			const points = 20_000
			l, objects := newLog(t, smallLimits)
			w := newWriter(t, l)
			for i := range points {
				require.NoError(t, w.Log("x", float64(i), int64(i), time.Time{}))
			}
			require.NoError(t, w.Close(t.Context()))
			if sealed {
				_, err := l.Seal(t.Context())
				require.NoError(t, err)
			}
			n := 0
			var err error
			for _, err = range l.Read(t.Context(), nil) {
				if n++; n == 1 {
					deleteAll(t, objects)
				}
			}
			require.ErrorIs(t, err, azml.ErrNotFound)
			require.Less(t, n, points)
		})
	}
}

// deleteAll deletes a run's metrics in the order in which runs are deleted.
func deleteAll(t *testing.T, objects *memory.Objects) {
	t.Helper()
	var keys []string
	for info, err := range objects.List(t.Context(), &backend.ListOptions{Prefix: testPrefix}) {
		require.NoError(t, err)
		keys = append(keys, info.Key)
	}
	for _, key := range slices.Backward(keys) {
		require.NoError(t, objects.Delete(t.Context(), key, &backend.DeleteOptions{}))
	}
}

// interrupted does something else before some of a store's operations.
type interrupted struct {
	*memory.Objects
	n      int
	before func(n int)
}

func (o *interrupted) step() {
	o.n++
	o.before(o.n)
}

func (o *interrupted) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	o.step()
	return o.Objects.Get(ctx, key, opts)
}

func (o *interrupted) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	o.step()
	return o.Objects.Put(ctx, key, content, opts)
}

func (o *interrupted) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	o.step()
	return o.Objects.Delete(ctx, key, opts)
}

func (o *interrupted) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	o.step()
	return o.Objects.List(ctx, opts)
}

// TestDeletedWhileSealed deletes a log between any two steps of its sealing,
// and begins another of the same name between any two later ones. The new one
// never gets a point of the old one, and loses none of its own.
func TestDeletedWhileSealed(t *testing.T) {
	t.Parallel()
	sealing := func(first, second int) (steps int) {
		dir := t.TempDir()
		objects := memory.NewObjects()
		logPoints(t, openLog(t, objects, dir, smallLimits), "old", 20)
		begin := func() {
			deleteAll(t, objects)
			logPoints(t, openLog(t, objects, dir, smallLimits), "new", 10)
		}
		seen := &interrupted{Objects: objects, before: func(n int) {
			if n == first {
				deleteNewest(t, objects)
			}
			if n == second {
				begin()
			}
		}}
		_, err := openLog(t, seen, dir, smallLimits).Seal(t.Context())
		if err != nil && !errors.Is(err, azml.ErrConflict) {
			require.ErrorIs(t, err, azml.ErrNotFound)
		}
		if seen.n < second {
			begin()
		}
		points := readAll(t, openLog(t, objects, dir, smallLimits))
		require.Len(t, points, 10, "%d %d", first, second)
		for _, p := range points {
			require.Equal(t, "new", p.Name)
		}
		return seen.n
	}
	steps := sealing(-1, math.MaxInt)
	require.Greater(t, steps, 5)
	for first := range steps {
		for second := first; second <= steps; second++ {
			sealing(first+1, second+1)
		}
	}
}

func logPoints(t *testing.T, l *Log, name string, n int) {
	t.Helper()
	w := newWriter(t, l)
	for i := range n {
		require.NoError(t, w.Log(name, float64(i), int64(i), time.Time{}))
	}
	require.NoError(t, w.Close(t.Context()))
}

// deleteNewest is the first step of deleteAll.
func deleteNewest(t *testing.T, objects *memory.Objects) {
	t.Helper()
	last := ""
	for info, err := range objects.List(t.Context(), &backend.ListOptions{Prefix: testPrefix}) {
		require.NoError(t, err)
		last = info.Key
	}
	require.NoError(t, objects.Delete(t.Context(), last, &backend.DeleteOptions{}))
}

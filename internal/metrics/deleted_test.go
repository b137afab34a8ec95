package metrics

import (
	"context"
	"iter"
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

// TestDeletedWhileSealed deletes a log between any two steps of its sealing. What
// the sealing leaves then, and who seals a run deletes, reads as nothing, as what
// is gone, or as all there was.
func TestDeletedWhileSealed(t *testing.T) {
	t.Parallel()
	const points = 20
	sealing := func(at int) (steps, left int) {
		dir := t.TempDir()
		objects := memory.NewObjects()
		logPoints(t, openLog(t, objects, dir, smallLimits), points)
		seen := &interrupted{Objects: objects, before: func(n int) {
			if n == at {
				deleteAll(t, objects)
			}
		}}
		_, err := openLog(t, seen, dir, smallLimits).Seal(t.Context())
		if err != nil {
			require.ErrorIs(t, err, azml.ErrNotFound, "%d", at)
		}
		found, err := collectPoints(openLog(t, objects, dir, smallLimits).Read(t.Context(), nil))
		if err != nil {
			require.ErrorIs(t, err, azml.ErrNotFound, "%d", at)
			require.Empty(t, found)
		}
		return seen.n, len(found)
	}
	steps, left := sealing(-1)
	require.Greater(t, steps, 5)
	require.Equal(t, points, left)
	lefts := map[int]bool{}
	for at := range steps {
		_, left = sealing(at + 1)
		lefts[left] = true
	}
	require.Equal(t, map[int]bool{0: true, points: true}, lefts)
}

func logPoints(t *testing.T, l *Log, n int) {
	t.Helper()
	w := newWriter(t, l)
	for i := range n {
		require.NoError(t, w.Log("x", float64(i), int64(i), time.Time{}))
	}
	require.NoError(t, w.Close(t.Context()))
}

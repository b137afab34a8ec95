package inorder_test

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/internal/inorder"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func numbers(n int, last error) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		if last != nil {
			yield(0, last)
		}
	}
}

func TestMap(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		in   iter.Seq2[int, error]
		do   func(int) (int, error)
		want int
		err  error
	}{
		"all":             {numbers(500, nil), func(i int) (int, error) { return i * 2, nil }, 500, nil},
		"none":            {numbers(0, nil), func(i int) (int, error) { return i, nil }, 0, nil},
		"an error before": {numbers(50, broken), func(i int) (int, error) { return i * 2, nil }, 50, broken},
		"an error within": {numbers(500, nil), func(i int) (int, error) {
			if i == 70 {
				return 0, broken
			}
			return i * 2, nil
		}, 70, broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 0
			var last error
			for v, err := range inorder.Map(t.Context(), 4, tt.in, tt.do) {
				if last = err; err != nil {
					continue
				}
				require.Equal(t, 2*n, v)
				n++
			}
			require.Equal(t, tt.want, n)
			require.ErrorIs(t, last, tt.err)
		})
	}
}

// TestMapIsBounded takes no more things than it says ahead of what was yielded.
func TestMapIsBounded(t *testing.T) {
	t.Parallel()
	const workers = 3
	var begun atomic.Int64
	n := int64(0)
	for range inorder.Map(t.Context(), workers, numbers(200, nil), func(i int) (int, error) { begun.Add(1); return i, nil }) {
		n++
		require.LessOrEqual(t, begun.Load(), n+2*workers+2)
	}
}

func TestMapEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range inorder.Map(ctx, 2, numbers(1_000_000, nil), func(i int) (int, error) { return i, nil }) {
		last = err
		cancel()
	}
	require.ErrorIs(t, last, context.Canceled)
}

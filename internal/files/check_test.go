package files

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// TestCheckerAtAnyWidth has readers bring chunks of all sizes, one of them damaged, to
// checkers that check one, two, or many at once: each chunk is handed over once, with the
// bytes that it came with, and no reader waits for ever.
func TestCheckerAtAnyWidth(t *testing.T) {
	t.Parallel()
	const chunks, bad = 150, 77
	random := rand.New(rand.NewPCG(3, 4))
	data, wanted := make([][]byte, chunks), make([]want, chunks)
	for i := range data {
		data[i] = noise(uint64(i), random.IntN([]int{2, 100, 5000, 300_000}[i%4]))
		wanted[i] = want{digestOf(data[i]), int64(len(data[i]))}
	}
	wanted[bad].digest[3] ^= 1
	for _, width := range []int{1, 2, 3, 16} {
		for _, readers := range []int{1, 3, 8} {
			var mu sync.Mutex
			seen := map[digest]int{}
			c := newChecker(new(buffers), width, readers, chunks, func(w want, got []byte, err error) error {
				mu.Lock()
				defer mu.Unlock()
				seen[w.digest]++
				if w.digest == wanted[bad].digest {
					requireClass(t, err, azml.ErrDamaged)
					return nil
				}
				if err != nil || digestOf(got) != w.digest {
					return fmt.Errorf("%s: other bytes: %w", w.digest, err)
				}
				return nil
			})
			work := newGroup(t.Context(), readers)
			for reader := range readers {
				require.NoError(t, work.run(t.Context(), func(ctx context.Context) error {
					for i := reader; i < chunks; i += readers {
						a, err := c.room(ctx)
						if err != nil {
							return err
						}
						n := copy(*a.buf, data[i])
						if err := c.add(a, packID{}, wanted[i], (*a.buf)[:n]); err != nil {
							return err
						}
					}
					return nil
				}))
			}
			require.NoError(t, work.wait())
			require.NoError(t, c.finish(t.Context()))
			require.Len(t, c.free, len(c.all), "all room is free again")
			c.close()
			for _, w := range wanted {
				require.NotZero(t, seen[w.digest])
			}
			total := 0
			for _, times := range seen {
				total += times
			}
			require.Equal(t, chunks, total)
		}
	}
}

// TestCheckerFails: the error of whom a chunk is handed to ends the check, also at its end,
// and whoever waits for room is told.
func TestCheckerFails(t *testing.T) {
	t.Parallel()
	failed := errors.New("no room on the disk")
	ctx, cancel := context.WithCancelCause(t.Context())
	data := noise(1, 1000)
	w := want{digestOf(data), int64(len(data))}
	for _, width := range []int{1, 2, 16} {
		c := newChecker(new(buffers), width, 1, 5, func(want, []byte, error) error { return failed })
		var err error
		for range 5 {
			a, full := c.room(ctx)
			require.NoError(t, full)
			if err = c.add(a, packID{}, w, data); err != nil {
				break
			}
		}
		if err == nil {
			err = c.finish(ctx)
		}
		require.ErrorIs(t, err, failed)
		c.close()
	}
	c := newChecker(new(buffers), 16, 1, 1, nil)
	_, err := c.room(ctx)
	require.NoError(t, err)
	cancel(failed)
	_, err = c.room(ctx)
	require.ErrorIs(t, err, failed)
	require.NoError(t, c.finish(t.Context()), "of nothing")
	c.close()
}

// TestSlowChunksAreHandedOver: on a slow line a chunk does not wait for others.
func TestSlowChunksAreHandedOver(t *testing.T) {
	t.Parallel()
	handed := 0
	c := newChecker(new(buffers), 16, 1, 8, func(_ want, _ []byte, err error) error {
		handed++
		return err
	})
	defer c.close()
	data := noise(1, 1000)
	for i := range 3 {
		time.Sleep(patience + time.Millisecond)
		a, err := c.room(t.Context())
		require.NoError(t, err)
		require.NoError(t, c.add(a, packID{}, want{digestOf(data), int64(len(data))}, data))
		require.Equal(t, i+1, handed)
	}
}

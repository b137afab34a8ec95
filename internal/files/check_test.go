package files

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
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
		size := []int{20, smallChunk, 4 * smallChunk}[i%3]
		data[i] = noise(uint64(i), size/2+random.IntN(size))
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
				damaged := w.digest == wanted[bad].digest
				if damaged != errors.Is(err, azml.ErrDamaged) || !damaged && (err != nil || digestOf(got) != w.digest) {
					return fmt.Errorf("%s: other bytes, or another error: %w", w.digest, err)
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
			require.Len(t, c.free, len(c.arrivals), "all room is free again")
			c.close()
			for _, w := range wanted {
				require.Equal(t, 1, seen[w.digest])
			}
		}
	}
}

// TestCheckerFails: the error of whom a chunk is handed to ends the check, also at its end,
// and whoever waits for room is told.
func TestCheckerFails(t *testing.T) {
	t.Parallel()
	failed := errors.New("no room on the disk")
	ctx, cancel := context.WithCancelCause(t.Context())
	data := noise(1, smallChunk)
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

// TestCheckerIsCanceled: what was not handed over because the time was over is an error,
// whenever it is over.
func TestCheckerIsCanceled(t *testing.T) {
	t.Parallel()
	data := noise(1, smallChunk)
	for range 100 {
		c := newChecker(new(buffers), 16, 1, 1, func(_ want, _ []byte, err error) error { return err })
		ctx, cancel := context.WithCancel(t.Context())
		a, err := c.room(ctx)
		require.NoError(t, err)
		require.NoError(t, c.add(a, packID{}, want{digestOf(data), int64(len(data))}, data))
		cancel()
		require.ErrorIs(t, c.finish(ctx), context.Canceled)
		c.close()
	}
}

// TestChunksWaitForOthers: chunks are checked when sixteen are there, and on a slow line
// when the first has waited long, whatever their sizes; small ones at once.
func TestChunksWaitForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		handed := 0
		c := newChecker(new(buffers), 16, 8, 100, func(_ want, _ []byte, err error) error {
			handed++
			return err
		})
		defer c.close()
		bring := func(size int) {
			a, err := c.room(t.Context())
			require.NoError(t, err)
			data := noise(uint64(size), size)
			require.NoError(t, c.add(a, packID{}, want{digestOf(data), int64(size)}, data))
		}
		bring(smallChunk - 1)
		require.Equal(t, 1, handed)
		for range 15 {
			bring(smallChunk)
		}
		require.Equal(t, 1, handed, "fifteen wait")
		bring(2 * smallChunk)
		require.Equal(t, 16, handed, "of the last one a half is left")
		bring(3 * smallChunk)
		time.Sleep(patience)
		bring(9 * smallChunk)
		require.Equal(t, 18, handed, "those who have waited long")
		require.NoError(t, c.finish(t.Context()))
		require.Equal(t, 19, handed)
	})
}

package history

import (
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

func readTail(t *testing.T, h core.Handle, key string, lines int) string {
	t.Helper()
	log, err := OpenLogTail(t.Context(), h, key, lines, nil)
	require.NoError(t, err)
	defer log.Close()
	data, err := io.ReadAll(log)
	require.NoError(t, err)
	return string(data)
}

// lastLines is what OpenLogTail must give, found the plain way.
func lastLines(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

func TestLogTail(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 30 {
		h := setup(t, memory.NewObjects())
		key := LogKey(record.Run{ID: "r"}, "log")
		w := writer(t, h, key)
		var whole strings.Builder
		for range random.IntN(8) {
			var text strings.Builder
			for range random.IntN(40) {
				text.WriteString(strings.Repeat("x", []int{0, 1, 100, tailBlock - 1, tailBlock, 3 * tailBlock}[random.IntN(6)]>>(random.IntN(2)*8)))
				if random.IntN(4) > 0 {
					text.WriteString("\n")
				}
			}
			write(t, w, text.String())
			require.NoError(t, w.Flush(t.Context()))
			whole.WriteString(text.String())
			if whole.Len() > 0 && random.IntN(2) == 0 {
				w.flushing.Lock()
				w.appends = partAppends // the next append begins a new part
				w.flushing.Unlock()
			}
		}
		if whole.Len() == 0 {
			continue // there is no log
		}
		for _, n := range []int{1, 2, 3, 10, 1000} {
			want, got := lastLines(whole.String(), n), readTail(t, h, key, n)
			require.True(t, want == got, "last %d lines: %d bytes instead of %d", n, len(got), len(want))
		}
	}
}

func TestLogTailGoesOnWithWhatComes(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	_, err := OpenLogTail(t.Context(), h, "log", 3, nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	w := writer(t, h, "log")
	write(t, w, lines(0, 10))
	require.NoError(t, w.Flush(t.Context()))
	more := true
	log, err := OpenLogTail(t.Context(), h, "log", 2, func() (bool, error) {
		if more {
			more = false
			write(t, w, lines(10, 12))
			require.NoError(t, w.Flush(t.Context()))
			return false, nil
		}
		return true, nil
	})
	require.NoError(t, err)
	defer log.Close()
	text, err := io.ReadAll(log)
	require.NoError(t, err)
	require.Equal(t, lines(8, 12), string(text))
}

package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

func writer(t *testing.T, h core.Handle, key string) *LogWriter {
	t.Helper()
	w, err := NewLogWriter(t.Context(), h, key)
	require.NoError(t, err)
	return w
}

func write(t *testing.T, w *LogWriter, text string) {
	t.Helper()
	n, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.Equal(t, len(text), n)
}

func TestLogRollsAndIsReadAsOne(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	key := LogKey(record.Run{ID: "r"}, "user_logs/std_log.txt")
	w := writer(t, h, key)
	for n := range 6 {
		write(t, w, lines(n, n+1))
		require.NoError(t, w.Flush(t.Context()))
		if n%2 == 1 {
			w.flushing.Lock()
			w.appends = partAppends // the next append begins a new part
			w.flushing.Unlock()
		}
	}
	for part := 1; part <= 3; part++ {
		_, err := h.Objects().Stat(t.Context(), partKey(key, part))
		require.NoError(t, err)
	}
	require.Equal(t, lines(0, 6), readAll(t, h, key))
	size, err := LogSize(t.Context(), h, key)
	require.NoError(t, err)
	require.EqualValues(t, len(lines(0, 6)), size)
	names, err := LogNames(t.Context(), h, record.Run{ID: "r"})
	require.NoError(t, err)
	require.Equal(t, []string{"user_logs/std_log.txt"}, names)

	again := writer(t, h, key)
	require.Equal(t, size, again.Size())
	write(t, again, lines(6, 8))
	require.EqualValues(t, len(lines(0, 8)), again.Size(), "also what is not stored yet")
	require.NoError(t, again.Close(t.Context()))
	require.Equal(t, lines(0, 8), readAll(t, h, key), "a writer goes on after the last part")
}

// TestLogOfAFullPart goes on with a log whose last part takes no more: only the
// store has counted its appends. Where the next part can't be begun either, nothing
// is lost, and no part is left out.
func TestLogOfAFullPart(t *testing.T) {
	t.Parallel()
	store := &hooked{Objects: memory.NewObjects()}
	h := setup(t, store)
	first := writer(t, h, "log")
	write(t, first, "a\n")
	require.NoError(t, first.Close(t.Context()))
	full := fmt.Errorf("%w: appended to 50,000 times", azml.ErrUnsupported)
	store.set(func() { store.fail = func(op, _ string) error { return map[string]error{"append": full}[op] } })
	w := writer(t, h, "log")
	write(t, w, "b\n")
	require.ErrorIs(t, w.Flush(t.Context()), azml.ErrUnsupported)
	store.set(func() {
		store.fail = func(op, key string) error {
			if op == "append" && key == "log" {
				return full
			}
			return nil
		}
	})
	require.NoError(t, w.Flush(t.Context()))
	write(t, w, "c\n")
	require.NoError(t, w.Close(t.Context()))
	require.Equal(t, "a\nb\nc\n", readAll(t, h, "log"))
	info, err := h.Objects().Stat(t.Context(), partKey("log", 2))
	require.NoError(t, err)
	require.EqualValues(t, 4, info.Size)
}

func TestLogGoesOutByItself(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	w := writer(t, h, "log")
	write(t, w, "soon\n")
	require.Eventually(t, func() bool {
		size, err := LogSize(t.Context(), h, "log")
		return err == nil && size == 5
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, w.Close(t.Context()))
}

// Nothing is lost while the store fails, and what was refused is written by the
// next append that works, without anything new having to be written.
func TestLogIsKeptWhileTheStoreFails(t *testing.T) {
	t.Parallel()
	store := &hooked{Objects: memory.NewObjects()}
	h := setup(t, store)
	w := writer(t, h, "log")
	store.set(func() { store.fail = func(op, _ string) error { return onAppend(op) } })
	write(t, w, "a\n")
	require.ErrorIs(t, w.Flush(t.Context()), azml.ErrUnavailable)
	write(t, w, "b\n")
	require.ErrorIs(t, w.Flush(t.Context()), azml.ErrUnavailable)
	write(t, w, strings.Repeat("x", flushBytes))
	n, err := w.Write([]byte("too much"))
	require.ErrorIs(t, err, azml.ErrUnavailable)
	require.Zero(t, n)
	store.set(func() { store.fail = nil })
	require.Eventually(t, func() bool {
		size, err := LogSize(t.Context(), h, "log")
		return err == nil && size > 0
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, w.Close(t.Context()))
	require.Equal(t, "a\nb\n"+strings.Repeat("x", flushBytes), readAll(t, h, "log"))
}

func onAppend(op string) error {
	if op == "append" {
		return fmt.Errorf("%w: injected", azml.ErrUnavailable)
	}
	return nil
}

// An append whose answer was lost was done: it must neither block the log for
// ever nor be there twice.
func TestLogAfterALostAnswer(t *testing.T) {
	t.Parallel()
	store := &hooked{Objects: memory.NewObjects()}
	h := setup(t, store)
	w := writer(t, h, "log")
	for n := range 6 {
		store.set(func() {
			store.after = nil
			if n%2 == 1 {
				store.after = func(op, _ string) error { return onAppend(op) }
			}
		})
		write(t, w, lines(n, n+1))
		if err := w.Flush(t.Context()); n%2 == 1 {
			require.ErrorIs(t, err, azml.ErrUnavailable)
		} else {
			require.NoError(t, err)
		}
	}
	store.set(func() { store.after = nil })
	require.NoError(t, w.Close(t.Context()))
	require.Equal(t, lines(0, 6), readAll(t, h, "log"))
}

// Bytes that a crash of the store left at the end of the log stay; what comes
// later is behind them.
func TestLogWithAForeignTail(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	w := writer(t, h, "log")
	write(t, w, "first\n")
	require.NoError(t, w.Flush(t.Context()))
	_, err := h.Objects().Append(t.Context(), "log", 6, []byte("torn"))
	require.NoError(t, err)
	write(t, w, "second\n")
	require.NoError(t, w.Close(t.Context()))
	require.Equal(t, "first\ntornsecond\n", readAll(t, h, "log"))
}

func TestFollowSeesEverythingUpToTheEnd(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	var ended atomic.Bool
	log, err := OpenLog(t.Context(), h, "log", func() (bool, error) { return ended.Load(), nil })
	require.NoError(t, err, "a log that is not there yet is waited for")
	defer log.Close()
	go func() {
		w, err := NewLogWriter(context.Background(), h, "log")
		for n := 0; n < 200 && err == nil; n++ {
			if _, err = io.WriteString(w, lines(n, n+1)); rand.IntN(3) == 0 && err == nil {
				err = w.Flush(context.Background())
			}
			if n%20 == 0 {
				w.flushing.Lock()
				w.appends = partAppends
				w.flushing.Unlock()
			}
		}
		if err == nil {
			err = w.Close(context.Background())
		}
		if err != nil {
			t.Error(err)
		}
		ended.Store(true)
	}()
	data, err := io.ReadAll(log)
	require.NoError(t, err)
	require.Equal(t, lines(0, 200), string(data))
}

// A part may grow once more after a follower has looked at it and before the
// next part begins.
func TestFollowMissesNothingAtTheEndOfAPart(t *testing.T) {
	t.Parallel()
	store := &hooked{Objects: memory.NewObjects()}
	h := setup(t, store)
	_, err := h.Objects().Append(t.Context(), "log", 0, []byte("one "))
	require.NoError(t, err)
	once := false
	store.set(func() {
		store.fail = func(op, key string) error {
			if op != "stat" || key != partKey("log", 2) || once {
				return nil
			}
			once = true
			if _, err := store.Objects.Append(context.Background(), "log", 4, []byte("two ")); err != nil {
				return err
			}
			_, err := store.Objects.Append(context.Background(), partKey("log", 2), 0, []byte("three"))
			return err
		}
	})
	require.Equal(t, "one two three", readAll(t, h, "log"))
}

func TestFollowEndsWithItsContextAndWithErrors(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	ctx, cancel := context.WithCancel(t.Context())
	log, err := OpenLog(ctx, h, "log", func() (bool, error) { cancel(); return false, nil })
	require.NoError(t, err)
	_, err = io.ReadAll(log)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, log.Close())
	boom := errors.New("boom")
	log, err = OpenLog(t.Context(), h, "log", func() (bool, error) { return false, boom })
	require.NoError(t, err)
	_, err = io.ReadAll(log)
	require.ErrorIs(t, err, boom)
	_, err = OpenLog(t.Context(), h, "log", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
}

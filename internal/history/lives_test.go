package history

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

func TestLifeOf(t *testing.T) {
	t.Parallel()
	const life = "0123456789abcdef"
	run := record.Run{ID: "a-b", Life: life}
	for key, want := range map[string]string{
		SealedKey(run):                      life,
		LogKey(run, "user_logs/a-b-c.json"): life,
		FilesPart(run, 1):                   life,
		heartbeatKey(run):                   life,
		DatasetPrefix(run) + "x.json":       life,
		Ref(run.ID).Key:                     "",
		"runs/a-" + life + "/run.json":      "",
		"runs/a/" + life + ".json":          "",
		"runs/a/metrics-0123/x.seg":         "",
		"runs/a":                            "",
		"models/a/metrics-" + life + "/x":   "",
	} {
		require.Equal(t, want, LifeOf(key), key)
	}
}

// again deletes the run as its end, and makes another of the same ID.
func again(t *testing.T, h core.Handle, old record.Run) record.Run {
	t.Helper()
	remove(t, h, old)
	return create(t, h, old.ID).Value
}

func remove(t *testing.T, h core.Handle, old record.Run) {
	t.Helper()
	keys, err := Keys(t.Context(), h, old)
	require.NoError(t, err)
	for _, key := range append(keys, Ref(old.ID).Key) {
		require.NoError(t, h.Objects().Delete(t.Context(), key, &backend.DeleteOptions{}))
	}
}

func logOf(t *testing.T, h core.Handle, run record.Run) *metrics.Log {
	t.Helper()
	log, err := Metrics(h, run)
	require.NoError(t, err)
	return log
}

func writerOf(t *testing.T, h core.Handle, run record.Run) *metrics.Writer {
	t.Helper()
	w, err := logOf(t, h, run).NewWriter()
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.Close(context.Background()) })
	return w
}

// points gives the names of the points that a run has.
func points(t *testing.T, h core.Handle, run record.Run) (names []string) {
	t.Helper()
	for p, err := range logOf(t, h, run).Read(t.Context(), nil) {
		require.NoError(t, err)
		names = append(names, p.Name)
	}
	return names
}

// TestSpoolOfADeletedRun has a writer die, its run be deleted and another get the
// ID: what is on this machine of the first never comes to the second.
func TestSpoolOfADeletedRun(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]string{"short ID": "r", "longest ID": strings.Repeat("r", 256)} {
		for _, anew := range []bool{false, true} {
			t.Run(name+map[bool]string{false: ", deleted", true: ", used again"}[anew], func(t *testing.T) {
				t.Parallel()
				h := setup(t, memory.NewObjects())
				old := create(t, h, id).Value
				dead := leftBehind(t, h, old)
				alive := writerOf(t, h, old)
				require.NoError(t, alive.Log("alive", 1, 0, time.Time{}))
				var now record.Run
				var kept string
				if anew {
					now = again(t, h, old)
					require.Empty(t, points(t, h, now))
					kept = leftBehind(t, h, now)
				} else {
					remove(t, h, old)
				}
				require.NoError(t, RecoverMetrics(t.Context(), h))
				require.NoFileExists(t, dead)
				require.Equal(t, []string{"alive"}, points(t, h, old), "a writer that lives keeps its files")
				if !anew {
					return
				}
				require.NoFileExists(t, kept)
				require.Equal(t, []string{"x"}, points(t, h, now))
				require.NoError(t, alive.Close(t.Context()))
				require.Equal(t, []string{"x"}, points(t, h, now))
			})
		}
	}
}

// TestRecoveryOfADeletedRunInHand deletes a run whose spool files a recovery of
// another process has in hand, and gives another the ID before that one is done.
func TestRecoveryOfADeletedRunInHand(t *testing.T) {
	t.Parallel()
	objects := &hooked{Objects: memory.NewObjects()}
	h := setup(t, objects)
	old := create(t, h, "r").Value
	leftOver(t, h, old)
	begun, goOn := make(chan struct{}), make(chan struct{})
	objects.set(func() {
		objects.fail = func(op, key string) error {
			if op == "append" && LifeOf(key) == old.Life {
				close(begun)
				<-goOn
			}
			return nil
		}
	})
	ended := make(chan error, 1)
	go func() { ended <- RecoverMetrics(t.Context(), h) }()
	<-begun
	now := again(t, h, old)
	require.NoError(t, DiscardMetrics(t.Context(), h, old), "it is left to the recovery")
	close(goOn)
	require.NoError(t, <-ended)
	require.Empty(t, points(t, h, now))
	spooled, err := Spooled(h, old)
	require.NoError(t, err)
	require.False(t, spooled)

	keys, err := Keys(t.Context(), h, old)
	require.NoError(t, err)
	require.NotEmpty(t, keys)
	require.NoError(t, sweep(t.Context(), h, "r", time.Now().Add(-time.Hour)))
	keys, err = Keys(t.Context(), h, old)
	require.NoError(t, err)
	require.NotEmpty(t, keys, "it may be under way")
	require.NoError(t, sweep(t.Context(), h, "r", time.Now().Add(time.Hour)))
	keys, err = Keys(t.Context(), h, old)
	require.NoError(t, err)
	require.Empty(t, keys)
}

func TestRecoveryEndsWithItsContext(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	run := create(t, h, "r").Value
	file := leftBehind(t, h, run)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, DiscardMetrics(ctx, h, run), context.Canceled)
	require.ErrorIs(t, RecoverMetrics(ctx, h), context.Canceled)
	require.FileExists(t, file)
}

// TestSweepKeeps sweeps beside a run that lives, in whatever state its ID is.
func TestSweepKeeps(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	run := create(t, h, "r").Value
	require.NoError(t, RunFiles(run).Add(t.Context(), h, manifest(t, h, "a"), false))
	require.NoError(t, Beat(t.Context(), h, run))
	leftBehind(t, h, run)
	before, err := Keys(t.Context(), h, run)
	require.NoError(t, err)
	require.Len(t, before, 3)
	require.NoError(t, sweep(t.Context(), h, "r", time.Now().Add(time.Hour)))
	after, err := Keys(t.Context(), h, run)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// TestFilesOfADeletedRun has processes that know the files of a deleted run look
// at, and add to, those of another of its ID.
func TestFilesOfADeletedRun(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	objects := memory.NewObjects()
	h, other := setup(t, objects), setup(t, objects)
	old := create(t, h, "r").Value
	require.NoError(t, RunFiles(old).Add(ctx, h, manifest(t, h, "same", "old"), false))
	require.NoError(t, RunFiles(old).Add(ctx, h, manifest(t, h, "more"), false))
	for _, h := range []core.Handle{h, other} {
		names, err := FileNames(ctx, h, old)
		require.NoError(t, err)
		require.Len(t, names, 3)
	}
	now := again(t, h, old)
	for i, h := range []core.Handle{h, other} {
		names, err := FileNames(ctx, h, now)
		require.NoError(t, err)
		require.Len(t, names, i)
		require.NoError(t, RunFiles(now).Add(ctx, h, manifest(t, h, []string{"same", "other"}[i]), false))
		require.Equal(t, i+1, Kept(h, now, nil, nil).FileParts)
	}
	names, err := FileNames(ctx, h, now)
	require.NoError(t, err)
	require.Equal(t, []string{"other", "same"}, names)

	require.NoError(t, RunFiles(old).Add(ctx, other, manifest(t, other, "late"), false), "who does not know yet")
	names, err = FileNames(ctx, h, now)
	require.NoError(t, err)
	require.Len(t, names, 2)
}

// leftOver is leftBehind of a writer that had stored nothing.
func leftOver(t *testing.T, h core.Handle, run record.Run) {
	t.Helper()
	leftBehind(t, h, run)
	keys, err := Keys(t.Context(), h, run)
	require.NoError(t, err)
	for _, key := range keys {
		if strings.HasSuffix(key, ".seg") {
			require.NoError(t, h.Objects().Delete(t.Context(), key, &backend.DeleteOptions{}))
		}
	}
}

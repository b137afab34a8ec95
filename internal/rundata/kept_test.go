package rundata

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func handle(t *testing.T) core.Handle {
	t.Helper()
	return core.New(core.Config{Objects: memory.NewObjects(), CacheDir: t.TempDir(), Workspace: record.Workspace{ID: "w"}, Now: time.Now})
}

// fillWith gives a filler that writes files and counts its calls.
func fillWith(calls *atomic.Int32, names ...string) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		calls.Add(1)
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestKeptOnce: of many who want the same data at once, one fetches it.
func TestKeptOnce(t *testing.T) {
	t.Parallel()
	h, calls := handle(t), &atomic.Int32{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			k, err := keep(t.Context(), h, "key", fillWith(calls, "a", "b"))
			require.NoError(t, err)
			data, err := os.ReadFile(filepath.Join(k.dir, "b"))
			require.NoError(t, err)
			require.Equal(t, "b", string(data))
			require.NoError(t, k.release())
		})
	}
	all.Wait()
	require.Equal(t, int32(1), calls.Load())
}

// TestKeptAnew: what is not as it was is fetched again, and only that is removed.
func TestKeptAnew(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(base string) error{
		"a file is gone":        func(base string) error { return os.Remove(filepath.Join(base, filesName, "a")) },
		"a file was changed":    func(base string) error { return os.WriteFile(filepath.Join(base, filesName, "a"), []byte("xx"), 0o600) },
		"a file came":           func(base string) error { return os.WriteFile(filepath.Join(base, filesName, "c"), nil, 0o600) },
		"all files are gone":    func(base string) error { return os.RemoveAll(filepath.Join(base, filesName)) },
		"the list is gone":      func(base string) error { return os.Remove(filepath.Join(base, listName)) },
		"the list is damaged":   func(base string) error { return os.WriteFile(filepath.Join(base, listName), []byte("{"), 0o600) },
		"everything is removed": os.RemoveAll,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, calls := handle(t), &atomic.Int32{}
			k, err := keep(t.Context(), h, "key", fillWith(calls, "a", "b"))
			require.NoError(t, err)
			require.False(t, k.found)
			require.NoError(t, k.release())
			require.NoError(t, harm(filepath.Dir(k.dir)))
			k, err = keep(t.Context(), h, "key", fillWith(calls, "a", "b"))
			require.NoError(t, err)
			require.False(t, k.found)
			require.Equal(t, int32(2), calls.Load())
			entries, err := os.ReadDir(k.dir)
			require.NoError(t, err)
			require.Len(t, entries, 2)
			require.NoError(t, k.release())
		})
	}
}

// TestKeptGoesOn: what a fetch that failed has brought is there for the next.
func TestKeptGoesOn(t *testing.T) {
	t.Parallel()
	h, calls := handle(t), &atomic.Int32{}
	broken := errors.New("broken")
	_, err := keep(t.Context(), h, "key", func(ctx context.Context, dir string) error {
		return errors.Join(fillWith(calls, "a", ".azml-half")(ctx, dir), broken)
	})
	require.ErrorIs(t, err, broken)
	k, err := keep(t.Context(), h, "key", func(ctx context.Context, dir string) error {
		require.FileExists(t, filepath.Join(dir, "a"))
		return fillWith(calls, "b")(ctx, dir)
	})
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(k.dir, ".azml-half"))
	require.NoError(t, k.release())

	ctx, cancel := context.WithCancel(t.Context())
	lock := flock.New(filepath.Join(filepath.Dir(k.dir), fillingName))
	require.NoError(t, lock.Lock())
	cancel()
	_, err = keep(ctx, h, "key", fillWith(calls))
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, lock.Close())
}

func TestSweep(t *testing.T) {
	t.Parallel()
	h, calls := handle(t), &atomic.Int32{}
	require.NoError(t, Sweep(h), "of nothing")
	keptAs := func(key string) *kept {
		k, err := keep(t.Context(), h, key, fillWith(calls, "a"))
		require.NoError(t, err)
		return k
	}
	age := func(k *kept) {
		old := time.Now().Add(-keptFor - time.Hour)
		require.NoError(t, os.Chtimes(filepath.Join(filepath.Dir(k.dir), listName), old, old))
	}
	used, old, fresh := keptAs("used"), keptAs("old"), keptAs("fresh")
	require.NoError(t, errors.Join(old.release(), fresh.release()))
	age(used)
	age(old)
	require.NoError(t, Sweep(h))
	require.DirExists(t, used.dir)
	require.DirExists(t, fresh.dir)
	require.NoDirExists(t, filepath.Dir(old.dir))
	require.NoError(t, used.release())
	require.NoError(t, Sweep(h))
	require.NoDirExists(t, filepath.Dir(used.dir))
	again := keptAs("used")
	require.False(t, again.found)
	require.NoError(t, again.release())
}

func TestExpand(t *testing.T) {
	t.Parallel()
	values := map[string]string{"a": "/data/a", "b_2": "/data/b", "c": "t:1"}
	for in, want := range map[string]string{
		"DatasetConsumptionConfig:a":                                "/data/a",
		"--x=DatasetOutputConfig:b_2/y":                             "--x=/data/b/y",
		"$AZUREML_DATAREFERENCE_a/z":                                "/data/a/z",
		"cat DatasetConsumptionConfig:a DatasetConsumptionConfig:c": "cat /data/a t:1",
		"DatasetConsumptionConfig:other":                            "DatasetConsumptionConfig:other",
		"plain $a":                                                  "plain $a",
	} {
		require.Equal(t, want, expand(in, values))
	}
}

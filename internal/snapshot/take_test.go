package snapshot

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/files"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newStore() *files.Store { return files.New(memory.NewObjects(), nil) }

func TestTake(t *testing.T) {
	t.Parallel()
	entries := map[string]string{"a.py": "print()", "sub/b": "b", "link": "->sub/b", "empty/": "", ".gitignore": "*.log\n", "x.log": "x", "run.sh": "sh"}
	dir := tree(t, entries)
	require.NoError(t, os.Chmod(filepath.Join(dir, "run.sh"), 0o700))
	store := newStore()
	var seen []string
	plan := scan(t, dir, nil)
	_, m, stats, err := Take(t.Context(), store, plan, &TakeOptions{OnEntry: func(e Entry) { seen = append(seen, e.Path) }})
	require.NoError(t, err)
	require.Equal(t, paths(plan), seen)
	require.Equal(t, 4, stats.Files)
	var got []string
	for _, f := range m.Files {
		got = append(got, f.Path+" "+f.Mode.String()+" "+f.Link)
	}
	require.Equal(t, []string{
		".gitignore -rw-r--r-- ", "a.py -rw-r--r-- ", "empty drwxr-xr-x ", "link Lrwxrwxrwx sub/b", "run.sh -rwxr-xr-x ", "sub/b -rw-r--r-- ",
	}, got)

	// The same content elsewhere has the same ID and sends nothing.
	twin := tree(t, entries)
	require.NoError(t, os.Chmod(filepath.Join(twin, "run.sh"), 0o755))
	grow(t, twin, "y.log", "not taken")
	_, again, stats, err := Take(t.Context(), store, scan(t, twin, nil), nil)
	require.NoError(t, err)
	require.Equal(t, m.ID(), again.ID())
	require.Zero(t, stats.NewChunks)
}

func TestTakeWhatVanished(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a": "a", "b": "b", "train.py": "c"})
	plan := scan(t, dir, &Options{Require: []string{"./train.py"}})
	require.NoError(t, os.Remove(filepath.Join(dir, "b")))
	var gone []Skipped
	_, m, _, err := Take(t.Context(), newStore(), plan, &TakeOptions{OnSkip: func(s Skipped) { gone = append(gone, s) }})
	require.NoError(t, err)
	require.Len(t, m.Files, 2)
	require.Equal(t, []Skipped{{Path: "b", Reason: "it vanished while the folder was read"}}, gone)

	require.NoError(t, os.Remove(filepath.Join(dir, "train.py")))
	_, _, _, err = Take(t.Context(), newStore(), plan, nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, "train.py")
}

func TestTakeHonoursContext(t *testing.T) {
	t.Parallel()
	plan := scan(t, tree(t, map[string]string{"a": "a"}), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, _, err := Take(ctx, newStore(), plan, nil)
	require.ErrorIs(t, err, context.Canceled)
}

package localfs_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/localfs"
)

func put(ctx context.Context, s backend.Objects, key, data string) error {
	_, err := s.Put(ctx, key, strings.NewReader(data), &backend.PutOptions{})
	return err
}

func TestBadFolder(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{"", file, filepath.Join(file, "below")} {
		_, err := localfs.New(dir, nil)
		require.ErrorIs(t, err, azml.ErrInvalid, "%q", dir)
	}
}

func TestFolderGone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	s := open(t, dir)
	require.NoError(t, put(t.Context(), s, "a", "1"))
	require.NoError(t, os.RemoveAll(dir))
	err := put(t.Context(), s, "a", "2")
	require.ErrorIs(t, err, azml.ErrUnavailable)
	require.ErrorContains(t, err, dir)
	if runtime.GOOS == "linux" {
		_, err = s.Stat(t.Context(), "a")
		require.ErrorIs(t, err, azml.ErrUnavailable, "what it had is not known to be gone")
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s, err := localfs.New(t.TempDir(), nil)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "again")
	require.ErrorIs(t, put(t.Context(), s, "a", "1"), azml.ErrClosed)
	_, err = s.Stat(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrClosed)
}

func TestWaitingForALockEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, put(t.Context(), s, "a", "1"))
	locks, err := filepath.Glob(filepath.Join(dir, ".localfs", "locks", "??"))
	require.NoError(t, err)
	require.Len(t, locks, 1)
	other := flock.New(locks[0]) // as another process would
	require.NoError(t, other.Lock())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, put(ctx, s, "a", "2"), context.DeadlineExceeded)
	require.NoError(t, other.Unlock())
	require.Equal(t, "1", read(t, s, "a"))
	require.NoError(t, put(t.Context(), s, "a", "3"))
}

func TestForeignFilesAreNotSeen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, put(t.Context(), s, "a/b.json", "1"))
	for _, name := range []string{"README.md", ".DS_Store", "a/plain", "a/x%", "a/c%2ejson", "%", "a/%u1", "a/..x"} {
		if name != "a/x%" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), nil, 0o600))
		}
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "empty"), 0o700))
	require.NoError(t, os.Symlink("/etc", filepath.Join(dir, "out")))
	for delimiter, want := range map[string][]string{"": {"a/b.json"}, "/": {"a/"}} {
		got := []string{}
		for info, err := range s.List(t.Context(), &backend.ListOptions{Delimiter: delimiter}) {
			require.NoError(t, err)
			got = append(got, info.Key)
		}
		require.Equal(t, want, got)
	}
	_, err := s.Get(t.Context(), "out/hosts.x", &backend.GetOptions{})
	require.Error(t, err, "a link out of the folder is not followed")
}

func TestLeftoversAreSwept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, put(t.Context(), open(t, dir), "a", "1"))
	temp := filepath.Join(dir, ".localfs", "tmp")
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
	for name, age := range map[string]time.Duration{"old": 2 * time.Hour, "new": time.Minute} {
		path := filepath.Join(temp, name)
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Chtimes(path, time.Now().Add(-age), time.Now().Add(-age)))
	}
	open(t, dir)
	require.NoFileExists(t, filepath.Join(temp, "old"))
	require.FileExists(t, filepath.Join(temp, "new"))
}

// TestClockSetBack has files of the future: what is written after them must
// still have later times and so other ETags.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, put(t.Context(), s, "a.x", "same"))
	future := time.Now().Add(time.Hour)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "a.x"), future, future))
	last := future
	for step := range 20 {
		if step%2 == 0 {
			require.NoError(t, s.Delete(t.Context(), "a.x", &backend.DeleteOptions{}))
		}
		require.NoError(t, put(t.Context(), s, "a.x", "same"))
		info, err := s.Stat(t.Context(), "a.x")
		require.NoError(t, err)
		require.True(t, info.Modified.After(last), "step %d: %v is not after %v", step, info.Modified, last)
		last = info.Modified
	}
}

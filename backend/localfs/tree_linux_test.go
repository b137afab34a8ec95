package localfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTree does the same things in a tree, in one on a kernel without openat2,
// and by os.Root itself, which says what is right.
func TestTree(t *testing.T) {
	t.Parallel()
	steps := []struct {
		name string
		do   func(root files) error
	}{
		{"make a folder", func(r files) error { return r.Mkdir("a", 0o700) }},
		{"again", func(r files) error { return r.Mkdir("a", 0o700) }},
		{"below one that is not there", func(r files) error { return r.Mkdir("x/y", 0o700) }},
		{"make a file", func(r files) error { return write(r, "a/f", os.O_CREATE|os.O_EXCL) }},
		{"make it again", func(r files) error { return write(r, "a/f", os.O_CREATE|os.O_EXCL) }},
		{"write to what is not there", func(r files) error { return write(r, "a/g", 0) }},
		{"through a file", func(r files) error { return write(r, "a/f/g", os.O_CREATE) }},
		{"link", func(r files) error { return r.Link("a/f", "a/l") }},
		{"link again", func(r files) error { return r.Link("a/f", "a/l") }},
		{"link what is not there", func(r files) error { return r.Link("a/n", "a/m") }},
		{"rename", func(r files) error { return r.Rename("a/l", "r") }},
		{"rename what is gone", func(r files) error { return r.Rename("a/l", "r") }},
		{"look at a file", func(r files) error { _, err := r.Lstat("r"); return err }},
		{"look at what is gone", func(r files) error { _, err := r.Lstat("a/l"); return err }},
		{"look at a link that leads out", func(r files) error { _, err := r.Lstat("out"); return err }},
		{"open through a link that leads out", func(r files) error { return write(r, "out/secret", 0) }},
		{"make something behind it", func(r files) error { return write(r, "out/new", os.O_CREATE) }},
		{"remove something behind it", func(r files) error { return r.Remove("out/secret") }},
		{"rename to behind it", func(r files) error { return r.Rename("r", "out/r") }},
		{"link from behind it", func(r files) error { return r.Link("out/secret", "stolen") }},
		{"upwards", func(r files) error { return write(r, "../secret", 0) }},
		{"through a link that stays inside", func(r files) error { return write(r, "in/f", 0) }},
		{"remove a folder with something in it", func(r files) error { return r.Remove("a") }},
		{"remove a file", func(r files) error { return r.Remove("a/f") }},
		{"remove it again", func(r files) error { return r.Remove("a/f") }},
		{"remove an empty folder", func(r files) error { return r.Remove("a") }},
		{"close", func(r files) error { return r.Close() }},
		{"close again", func(r files) error { return r.Close() }},
		{"after that", func(r files) error { return write(r, "z", os.O_CREATE) }},
		{"and", func(r files) error { return r.Remove("r") }},
	}
	right, err := os.OpenRoot(maze(t))
	require.NoError(t, err)
	walking, err := openTree(maze(t))
	require.NoError(t, err)
	require.NotNil(t, walking.self, "this kernel has openat2")
	plain, err := openTree(maze(t))
	require.NoError(t, err)
	require.NoError(t, plain.self.Close())
	plain.self = nil
	for _, s := range steps {
		want := s.do(right)
		for _, r := range []files{walking, plain} {
			got := s.do(r)
			require.Equal(t, want == nil, got == nil, "%s: %v, not %v", s.name, got, want)
			for _, class := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrClosed} {
				require.Equal(t, errors.Is(want, class), errors.Is(got, class), "%s: %v, not %v", s.name, got, want)
			}
		}
	}
}

// files is what a tree has of os.Root.
type files interface {
	OpenFile(name string, flag int, perm fs.FileMode) (*os.File, error)
	Lstat(name string) (fs.FileInfo, error)
	Mkdir(name string, perm fs.FileMode) error
	Remove(name string) error
	Link(from, to string) error
	Rename(from, to string) error
	io.Closer
}

// maze makes a folder with links, beside one with a secret.
func maze(t *testing.T) string {
	base := t.TempDir()
	dir := filepath.Join(base, "store")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(base, "outside"), 0o700))
	for _, secret := range []string{"secret", "outside/secret"} {
		require.NoError(t, os.WriteFile(filepath.Join(base, secret), []byte("s"), 0o600))
	}
	require.NoError(t, os.Symlink("../outside", filepath.Join(dir, "out")))
	require.NoError(t, os.Symlink("a", filepath.Join(dir, "in")))
	t.Cleanup(func() {
		for _, secret := range []string{"secret", "outside/secret"} {
			data, err := os.ReadFile(filepath.Join(base, secret))
			require.NoError(t, err)
			require.Equal(t, "s", string(data))
		}
		entries, err := os.ReadDir(filepath.Join(base, "outside"))
		require.NoError(t, err)
		require.Len(t, entries, 1)
	})
	return dir
}

func write(r files, name string, flag int) error {
	f, err := r.OpenFile(name, os.O_WRONLY|flag, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString("x")
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// TestTreeSetsTimes sets a time to the nanosecond by a file, whatever the kernel
// can do.
func TestTreeSetsTimes(t *testing.T) {
	t.Parallel()
	tr, err := openTree(t.TempDir())
	require.NoError(t, err)
	defer tr.Close()
	f, err := tr.OpenFile("f", os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer f.Close()
	at := time.Unix(1_700_000_000, 123_456_789)
	require.NoError(t, tr.setTime(f, "f", at))
	fi, err := tr.Lstat("f")
	require.NoError(t, err)
	require.True(t, at.Equal(fi.ModTime()), "%v", fi.ModTime())
}

// TestPlace takes free names only, by whichever way the kernel has.
func TestPlace(t *testing.T) {
	t.Parallel()
	for name, byLink := range map[string]bool{"rename": false, "link": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := openTree(maze(t))
			require.NoError(t, err)
			defer r.Close()
			if byLink {
				require.NoError(t, r.self.Close())
				r.self = nil
			}
			require.NoError(t, r.Mkdir("a", 0o700))
			require.NoError(t, write(r, "one", os.O_CREATE))
			require.NoError(t, write(r, "two", os.O_CREATE))
			moved, err := r.Place("one", "a/f")
			require.NoError(t, err)
			require.Equal(t, !byLink, moved)
			_, err = r.Lstat("one")
			require.Equal(t, moved, errors.Is(err, fs.ErrNotExist))
			before, err := r.Lstat("a/f")
			require.NoError(t, err)
			moved, err = r.Place("two", "a/f")
			require.ErrorIs(t, err, fs.ErrExist)
			require.False(t, moved)
			after, err := r.Lstat("a/f")
			require.NoError(t, err)
			require.True(t, os.SameFile(before, after))
			_, err = r.Place("two", "x/f")
			require.ErrorIs(t, err, fs.ErrNotExist)
			_, err = r.Place("two", "out/f")
			require.Error(t, err)
			_, err = r.Lstat("two")
			require.NoError(t, err)
		})
	}
}

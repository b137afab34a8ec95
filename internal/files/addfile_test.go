//go:build unix

package files

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/stretchr/testify/require"
)

func TestStatCache(t *testing.T) {
	t.Parallel()
	objects := newSpy()
	c := &clock{off: time.Minute} // the files were written long ago
	s := New(objects, &Options{CacheDir: t.TempDir(), Now: c.now})
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		write(t, dir, name)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "big"), noise(1, 3<<20), 0o644))
	first, stats := saveDir(t, s, dir)
	require.Equal(t, 4, stats.Reread)

	objects.gets.Store(0)
	same, stats := saveDir(t, s, dir)
	require.Equal(t, first, same)
	require.Equal(t, Stats{Files: 4, Bytes: first.Size()}, stats, "nothing is read, nothing written")
	require.EqualValues(t, 1, objects.gets.Load(), "only the condemned list")

	info, err := os.Stat(filepath.Join(dir, "a"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("OLD"), 0o644))
	require.NoError(t, os.Chtimes(filepath.Join(dir, "a"), info.ModTime(), info.ModTime()))
	changed, stats := saveDir(t, s, dir)
	require.Equal(t, 1, stats.Reread, "the change time betrays it")
	require.NotEqual(t, first.ID(), changed.ID())

	require.NoError(t, os.Chmod(filepath.Join(dir, "b"), 0o755))
	executable, _ := saveDir(t, s, dir)
	f, _ := executable.Find("b")
	require.Equal(t, ModeExec, f.Mode)

	_, err = s.Collect(t.Context(), roots(), &CollectOptions{Exclusive: true})
	require.NoError(t, err)
	again, stats := saveDir(t, s, dir)
	require.Equal(t, executable.ID(), again.ID())
	require.GreaterOrEqual(t, stats.Reread, 3, "what is not stored any more is read again; two files are the same")
	require.NotZero(t, stats.NewBytes)
}

func TestRacilyCleanFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	s := New(newSpy(), &Options{CacheDir: t.TempDir()})
	dir := t.TempDir()
	write(t, dir, "a")
	saveDir(t, s, dir)
	_, stats := saveDir(t, s, dir)
	require.Equal(t, 1, stats.Reread)
}

func TestDamagedCacheIsIgnored(t *testing.T) {
	t.Parallel()
	cache, dir := t.TempDir(), t.TempDir()
	objects := newSpy()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), noise(1, firstPrice+1), 0o600))
	want, _ := saveDir(t, New(objects, &Options{CacheDir: cache}), dir)
	for path := range tree(t, cache) {
		p := filepath.Join(cache, path)
		if data, err := os.ReadFile(p); err == nil {
			data[len(data)/2] ^= 1
			require.NoError(t, os.WriteFile(p, data, 0o600))
		}
	}
	got, stats := saveDir(t, New(objects, &Options{CacheDir: cache}), dir)
	require.Equal(t, want, got)
	require.Zero(t, stats.NewChunks)
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "good")
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	write(t, dir, "secret")
	require.NoError(t, os.Chmod(filepath.Join(dir, "secret"), 0))
	for name, class := range map[string]error{"gone": azml.ErrNotFound, "pipe": azml.ErrInvalid, ".": azml.ErrInvalid, "secret": azml.ErrDenied} {
		if name == "secret" && os.Geteuid() == 0 {
			continue // root may read everything
		}
		s := New(newSpy(), nil)
		b, err := s.NewBatch(t.Context(), nil)
		require.NoError(t, err)
		require.NoError(t, b.AddFile(t.Context(), "x", filepath.Join(dir, name)))
		_, _, err = b.Commit(t.Context())
		requireClass(t, err, class)
		require.ErrorContains(t, err, `"x"`)

		var skipped []string
		b, err = s.NewBatch(t.Context(), &BatchOptions{Skip: func(path string, err error) error {
			skipped = append(skipped, path)
			if !errors.Is(err, class) {
				return err
			}
			return nil
		}})
		require.NoError(t, err)
		require.NoError(t, b.AddFile(t.Context(), "good", filepath.Join(dir, "good")))
		require.NoError(t, b.AddFile(t.Context(), "x", filepath.Join(dir, name)))
		m, _, err := b.Commit(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"good"}, paths(m.Files))
		require.Equal(t, []string{"x"}, skipped)
	}
}

// TestFilesThatChangeWhileRead appends to the file between the look at its
// times and its reading.
func TestFilesThatChangeWhileRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		changes int
		class   error
	}{"once": {1, nil}, "always": {100, azml.ErrConflict}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "f")
			require.NoError(t, os.WriteFile(path, noise(1, 100), 0o600))
			calls := 0
			s := New(newSpy(), &Options{Now: func() time.Time { // the second call comes just before the first reading
				if calls++; calls >= 2 && calls < 2+tc.changes {
					f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
					if err == nil {
						_, err = f.WriteString("more")
						err = errors.Join(err, f.Close())
					}
					if err != nil {
						t.Error(err)
					}
				}
				return time.Now()
			}})
			b, err := s.NewBatch(t.Context(), nil)
			require.NoError(t, err)
			require.NoError(t, b.AddFile(t.Context(), "f", path))
			m, _, err := b.Commit(t.Context())
			if tc.class != nil {
				requireClass(t, err, tc.class)
				require.ErrorContains(t, err, path)
				return
			}
			require.NoError(t, err)
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, digestOf(data).String(), m.Files[0].Digest)
		})
	}
}

func TestCancellation(t *testing.T) {
	t.Parallel()
	objects := newSpy()
	s := New(objects, nil)
	ctx, cancel := context.WithCancel(t.Context())
	objects.beforePut = func(string) { cancel() }
	_, _, _, err := trySave(ctx, s, map[string][]byte{"a": noise(1, 40<<20)})
	require.ErrorIs(t, err, context.Canceled)

	objects.beforePut = nil
	m, _, id := save(t, s, map[string][]byte{"a": noise(1, 40<<20), "b": noise(2, 10)})
	ctx, cancel = context.WithCancel(t.Context())
	dir := t.TempDir()
	err = s.Restore(ctx, m, dir, &RestoreOptions{Progress: func(done, total int64) { cancel() }})
	require.ErrorIs(t, err, context.Canceled)
	for path := range tree(t, dir) {
		require.Equal(t, "b", path, "only whole files stay")
	}
	_, err = s.Collect(ctx, roots(id), nil)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Verify(ctx, roots(id), &VerifyOptions{Deep: true})
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.NewBatch(ctx, nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	b, err := New(newSpy(), nil).NewBatch(t.Context(), nil)
	require.NoError(t, err)
	requireClass(t, b.AddLink("l", "/etc"), azml.ErrInvalid)
	requireClass(t, b.AddDir("/d"), azml.ErrInvalid)
	requireClass(t, b.AddFile(t.Context(), "../x", "x"), azml.ErrInvalid)
	require.NoError(t, b.AddLink("l", "x"))
	requireClass(t, b.AddLink("l", "y"), azml.ErrInvalid)
	require.NoError(t, b.AddLink("l/x", "y"))
	_, _, err = b.Commit(t.Context())
	requireClass(t, err, azml.ErrInvalid)
	requireClass(t, b.AddDir("d"), azml.ErrClosed)
}

var _ backend.Objects = (*spy)(nil)

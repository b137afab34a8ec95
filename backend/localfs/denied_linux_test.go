package localfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// TestReadOnlyFolder works as a user who may read the folder only.
func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, put(t.Context(), s, "a/b.json", "1"))
	for path, mode := range map[string]os.FileMode{"": 0o555, "/a": 0o555, "/a/b.json": 0o444, "/.localfs": 0o555, "/.localfs/tmp": 0o555, "/.localfs/locks": 0o555} {
		require.NoError(t, os.Chmod(dir+path, mode))
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700); _ = os.Chmod(dir+"/a", 0o700) })
	asOther(t, func() {
		for name, err := range map[string]error{
			"put new":      put(t.Context(), s, "new", "1"),
			"put existing": put(t.Context(), s, "a/b.json", "2"),
			"delete":       s.Delete(t.Context(), "a/b.json", &backend.DeleteOptions{}),
		} {
			if azml.ClassOf(err) != azml.ErrDenied {
				t.Errorf("%s: %v", name, err)
			}
		}
		o, err := s.Get(t.Context(), "a/b.json", &backend.GetOptions{})
		if err != nil {
			t.Errorf("reading: %v", err)
			return
		}
		o.Body.Close()
	})
	require.Equal(t, "1", read(t, s, "a/b.json"))
}

// TestFeedOfReadOnlyFolder follows a folder as a user who may read it only,
// all of it or not.
func TestFeedOfReadOnlyFolder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		files        os.FileMode
		journal, all bool // whether there is a journal, and all can be read
	}{
		{"readable", 0o644, true, true},
		{"without a journal", 0o644, false, false},
		{"files of another user", 0o600, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
			s := open(t, dir)
			require.NoError(t, put(t.Context(), s, "a", "1"))
			if !test.journal {
				require.NoError(t, os.RemoveAll(journalOf(s, "")))
			}
			require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if d.IsDir() {
					return errors.Join(err, os.Chmod(path, 0o755))
				}
				return errors.Join(err, os.Chmod(path, test.files))
			}))
			if test.journal {
				require.NoError(t, put(t.Context(), s, "a", "1"))
				require.NoError(t, os.Chmod(journalOf(s, "current"), test.files))
			}
			cursor := ""
			asOther(t, func() {
				got, err := s.Changes(t.Context(), "", &backend.ChangesOptions{})
				if err != nil || !got.Lost || (got.Cursor != "") != test.all {
					t.Errorf("Changes: %+v, %v", got, err)
				}
				cursor = got.Cursor
			})
			if !test.all {
				return
			}
			require.NoError(t, put(t.Context(), s, "a", "2"))
			asOther(t, func() {
				got, err := s.Changes(t.Context(), cursor, &backend.ChangesOptions{})
				if err != nil || got.Lost || !slices.Equal(got.Keys, []string{"a"}) {
					t.Errorf("Changes: %+v, %v", got, err)
				}
			})
		})
	}
}

// asOther does something as another user, which is that of one thread that ends
// with it.
func asOther(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, so the thread ends
		if os.Getuid() == 0 {
			if err := syscall.Setfsuid(65534); err != nil {
				t.Errorf("become another user: %v", err)
				return
			}
		}
		do()
	}()
	<-done
}

package folder_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/folder"
)

func open(t *testing.T, dir string) *folder.Store {
	t.Helper()
	opened, err := folder.Driver{}.Open(t.Context(), backend.DatastoreSource{Type: folder.Type, Connection: map[string]string{folder.Path: dir}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened.(*folder.Store)
}

func TestSuite(t *testing.T) {
	t.Parallel()
	backendtest.DataFiles(t, func(t *testing.T) backendtest.DataFilesHarness {
		return backendtest.DataFilesHarness{Files: open(t, t.TempDir()), Tree: true}
	})
}

func listed(t *testing.T, s *folder.Store) ([]string, error) {
	t.Helper()
	var paths []string
	for info, err := range s.List(t.Context(), &backend.ListOptions{}) {
		if err != nil {
			return paths, err
		}
		paths = append(paths, info.Key)
	}
	return paths, nil
}

func TestVanishedFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := open(t, dir)
	require.ErrorIs(t, s.Check(t.Context()), azml.ErrNotFound)
	require.NoError(t, s.Create(t.Context()))
	put := func(path string) error {
		_, err := s.Put(t.Context(), path, strings.NewReader("1"), &backend.PutOptions{})
		return err
	}
	require.NoError(t, put("a"))
	require.NoError(t, os.RemoveAll(dir))
	_, err := listed(t, s)
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorIs(t, put("b"), azml.ErrNotFound)
	require.ErrorIs(t, s.Check(t.Context()), azml.ErrNotFound)
	require.NoDirExists(t, dir)
	require.NoError(t, os.Mkdir(dir, 0o755)) // as when it is mounted again
	require.NoError(t, put("b"))
	paths, err := listed(t, s)
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, paths)
}

func TestNothingLeadsOut(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("1"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("1"), 0o600))
	for name, to := range map[string]string{"out": secret, "folder": outside, "in": "file", "loop": "loop", "gone": "nothing"} {
		require.NoError(t, os.Symlink(to, filepath.Join(dir, name)))
	}
	s := open(t, dir)
	for _, path := range []string{"../" + filepath.Base(outside) + "/secret", secret, "out", "folder/secret", "loop", "a/../../x", "", ".", "a\x00b"} {
		_, err := s.Get(t.Context(), path, &backend.GetOptions{})
		require.Error(t, err, path)
		_, err = s.Stat(t.Context(), path)
		require.Error(t, err, path)
	}
	for _, path := range []string{"../x", "folder/x", "/tmp/x"} {
		_, err := s.Put(t.Context(), path, strings.NewReader("2"), &backend.PutOptions{})
		require.Error(t, err, path)
	}
	paths, err := listed(t, s)
	require.NoError(t, err)
	require.Equal(t, []string{"file", "in"}, paths)
	entries, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// TestHalfAFileIsNeverSeen cuts a write off, as a killed process would.
func TestHalfAFileIsNeverSeen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	broken := struct {
		io.ReaderAt
		sized
	}{strings.NewReader("half"), 8}
	_, err := s.Put(t.Context(), "a/b", broken, &backend.PutOptions{})
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".azml-0123456789abcdef.tmp"), []byte("left"), 0o600))
	paths, err := listed(t, s)
	require.NoError(t, err)
	require.Empty(t, paths)
	_, err = s.Put(t.Context(), ".azml-x.tmp", strings.NewReader("1"), &backend.PutOptions{})
	require.ErrorIs(t, err, azml.ErrInvalid)
	left, err := os.ReadDir(filepath.Join(dir, "a"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// sized is the size that a content says it has.
type sized int64

func (s sized) Size() int64 { return int64(s) }

package datastore_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/workspacetest"
)

// standard gives the own datastore of a new workspace.
func standard(t *testing.T) *datastore.Datastore {
	t.Helper()
	d, err := open(t).Datastores().Default(t.Context(), nil)
	require.NoError(t, err)
	return d
}

// tree makes a folder of n small files, and one of a few megabytes.
func tree(t *testing.T, n int) (dir string, content map[string]string) {
	t.Helper()
	dir, content = t.TempDir(), map[string]string{"deep/er/large.bin": strings.Repeat("0123456789abcdef", 200_000)}
	for i := range n {
		content[fmt.Sprintf("f%d/x%d.txt", i%7, i)] = fmt.Sprint("content ", i)
	}
	for name, text := range content {
		workspacetest.File(t, dir, name, text)
	}
	return dir, content
}

// requireTree checks that a folder holds these files and no others.
func requireTree(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		got[filepath.ToSlash(rel)] = string(data)
		return err
	}))
	require.True(t, len(got) == len(want), "%d files, want %d", len(got), len(want))
	for path, content := range want {
		require.True(t, got[path] == content, "%s differs", path)
	}
}

func TestUploadAndDownload(t *testing.T) {
	t.Parallel()
	for _, n := range []int{5, 300} { // asked for one by one, and listed
		t.Run(fmt.Sprint(n, " files"), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			d := standard(t)
			dir, content := tree(t, n)
			var last datastore.Progress
			up, err := d.Upload(ctx, dir, "in/here", &datastore.UploadOptions{Progress: func(p datastore.Progress) { last = p }})
			require.NoError(t, err)
			require.Equal(t, n+1, up.Files)
			require.Zero(t, up.Skipped)
			require.Equal(t, datastore.Progress{Files: n + 1, TotalFiles: n + 1, Bytes: up.Bytes, TotalBytes: up.Bytes}, last)

			workspacetest.File(t, dir, "f0/x0.txt", "something longer")
			up, err = d.Upload(ctx, dir, "in/here/", nil)
			require.NoError(t, err)
			require.Equal(t, datastore.Transfer{Skipped: n + 1, Differing: []string{"in/here/f0/x0.txt"}}, up)

			to := t.TempDir()
			down, err := d.Download(ctx, "in/here", to, &datastore.DownloadOptions{Progress: func(p datastore.Progress) { last = p }})
			require.NoError(t, err)
			require.Equal(t, n+1, down.Files)
			require.Equal(t, datastore.Progress{Files: n + 1, TotalFiles: n + 1, Bytes: down.Bytes, TotalBytes: down.Bytes}, last)
			requireTree(t, filepath.Join(to, "in", "here"), content)

			up, err = d.Upload(ctx, dir, "in/here", &datastore.UploadOptions{Overwrite: true, Parallel: 2, Filter: func(path string) bool { return strings.HasPrefix(path, "f0/") }})
			require.NoError(t, err)
			require.Zero(t, up.Skipped)
			require.Greater(t, n+1, up.Files)
			down, err = d.Download(ctx, "in/here/f0/x0.txt", to, nil)
			require.NoError(t, err)
			require.Equal(t, datastore.Transfer{Skipped: 1, Differing: []string{"in/here/f0/x0.txt"}}, down)
			down, err = d.Download(ctx, "in/here/f0/x0.txt", to, &datastore.DownloadOptions{Overwrite: true})
			require.NoError(t, err)
			require.Equal(t, 1, down.Files)
			content["f0/x0.txt"] = "something longer"
			requireTree(t, filepath.Join(to, "in", "here"), content)
		})
	}
}

func TestUploadOfOneFile(t *testing.T) {
	t.Parallel()
	d := standard(t)
	file := workspacetest.File(t, t.TempDir(), "data.csv", "a,b\n")
	for target, want := range map[string]string{"": "data.csv", "in/": "in/data.csv", "other.csv": "other.csv"} {
		up, err := d.Upload(t.Context(), file, target, nil)
		require.NoError(t, err)
		require.Equal(t, datastore.Transfer{Files: 1, Bytes: 4}, up)
		_, err = d.Stat(t.Context(), want, nil)
		require.NoError(t, err)
	}
}

func TestUploadOfWhatIsOdd(t *testing.T) {
	t.Parallel()
	d := standard(t)
	dir, elsewhere := t.TempDir(), t.TempDir()
	workspacetest.File(t, elsewhere, "data/x.txt", "linked")
	require.NoError(t, os.Symlink(filepath.Join(elsewhere, "data"), filepath.Join(dir, "folder")))
	require.NoError(t, os.Symlink(filepath.Join(elsewhere, "data", "x.txt"), filepath.Join(dir, "file.txt")))
	up, err := d.Upload(t.Context(), dir, "", nil)
	require.NoError(t, err)
	require.Equal(t, 2, up.Files)
	r, err := d.Open(t.Context(), "folder/x.txt", nil)
	require.NoError(t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "linked", string(data))

	require.NoError(t, os.Symlink(dir, filepath.Join(dir, "loop")))
	_, err = d.Upload(t.Context(), dir, "again", nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, "loop")
	require.NoError(t, os.Remove(filepath.Join(dir, "loop")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	_, err = d.Upload(t.Context(), dir, "again", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = d.Upload(t.Context(), dir, "../again", nil)
	require.Error(t, err)
	for file, err := range d.Files(t.Context(), "again", nil) {
		require.NoError(t, err)
		require.Fail(t, "something was uploaded", file.Path)
	}
}

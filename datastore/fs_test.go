package datastore_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/datastore"
)

func write(t *testing.T, d *datastore.Datastore, path, content string) {
	t.Helper()
	_, err := d.Write(t.Context(), path, strings.NewReader(content), nil)
	require.NoError(t, err)
}

func TestFS(t *testing.T) {
	t.Parallel()
	d, err := open(t).Datastores().Default(t.Context(), nil)
	require.NoError(t, err)
	files := map[string]string{"a.txt": "1", "a/b.txt": "22", "a/c/d.csv": "333", "z": "", "a-b/x": "4"}
	for path, content := range files {
		write(t, d, path, content)
	}
	require.NoError(t, fstest.TestFS(d.FS(t.Context(), ""), "a.txt", "a/b.txt", "a/c/d.csv", "z", "a-b/x"))
	require.NoError(t, fstest.TestFS(d.FS(t.Context(), "a"), "b.txt", "c/d.csv"))
	for path, content := range files {
		data, err := fs.ReadFile(d.FS(t.Context(), ""), path)
		require.NoError(t, err)
		require.Equal(t, content, string(data))
	}
	matches, err := fs.Glob(d.FS(t.Context(), ""), "a*/*.txt")
	require.NoError(t, err)
	require.Equal(t, []string{"a/b.txt"}, matches)

	_, err = fs.ReadFile(d.FS(t.Context(), ""), "nothing")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = fs.Stat(d.FS(t.Context(), ""), "../x")
	require.ErrorIs(t, err, fs.ErrInvalid)
}

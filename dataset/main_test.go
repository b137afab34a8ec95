package dataset_test

import (
	"bytes"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup opens a workspace with files in its own datastore.
func setup(t *testing.T, files map[string]string) (*workspace.Workspace, *datastore.Datastore) {
	t.Helper()
	ws := workspacetest.Open(t)
	store, err := ws.Datastores().Default(t.Context(), nil)
	require.NoError(t, err)
	for path, text := range files {
		put(t, store, path, text)
	}
	return ws, store
}

func put(t *testing.T, store *datastore.Datastore, path, text string) {
	t.Helper()
	_, err := store.Write(t.Context(), path, bytes.NewReader([]byte(text)), &datastore.WriteOptions{Overwrite: true})
	require.NoError(t, err)
}

func at(paths ...string) []dataset.Path {
	out := make([]dataset.Path, len(paths))
	for i, p := range paths {
		out[i] = dataset.Path{Path: p}
	}
	return out
}

// column reads a column as values.
func column(t *testing.T, d *dataset.Dataset, name string) []any {
	t.Helper()
	values := []any{}
	for b, err := range d.Batches(t.Context(), &dataset.BatchesOptions{Columns: []string{name}}) {
		require.NoError(t, err)
		for row := range b.Rows {
			values = append(values, b.Columns[0].Value(row))
		}
	}
	return values
}

// ints gives values as they are in a column.
func ints(values ...int64) []any {
	out := []any{}
	for _, v := range values {
		out = append(out, v)
	}
	return out
}

// must gives a dataset that there is no error about.
func must(t *testing.T) func(*dataset.Dataset, error) *dataset.Dataset {
	return func(d *dataset.Dataset, err error) *dataset.Dataset {
		t.Helper()
		require.NoError(t, err)
		return d
	}
}

// all gathers a list.
func all[T any](t *testing.T, list iter.Seq2[T, error]) (out []T) {
	t.Helper()
	for one, err := range list {
		require.NoError(t, err)
		out = append(out, one)
	}
	return out
}

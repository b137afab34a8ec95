package datastore_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/backend/s3"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/workspace"
)

// bucket gives a new bucket of a server as a datastore.
func bucket(t *testing.T) (*datastore.Client, *datastore.Datastore) {
	t.Helper()
	server := testenv.S3(t)
	dir := t.TempDir()
	opts := workspacetest.Options(dir)
	opts.Datastores = []backend.DatastoreDriver{s3.Driver{}}
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	d, err := ws.Datastores().Register(t.Context(), "lake", datastore.S3{Endpoint: server.Endpoint, Bucket: "lake", Region: server.Region, Prefix: "team/",
		AccessKeyID: server.AccessKey, SecretAccessKey: datastore.Secret(server.SecretKey)}, &datastore.RegisterOptions{Create: true})
	require.NoError(t, err)
	return ws.Datastores(), d
}

func TestFoldersInABucket(t *testing.T) {
	t.Parallel()
	_, d := bucket(t)
	dir, content := tree(t, 150)
	// The first upload is cut off in the middle, the second goes on.
	ctx, cancel := context.WithCancel(t.Context())
	var moved atomic.Int32
	first, err := d.Upload(ctx, dir, "in", &datastore.UploadOptions{Progress: func(datastore.Progress) {
		if moved.Add(1) > 60 {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, first.Files, 151)
	second, err := d.Upload(t.Context(), dir, "in", nil)
	require.NoError(t, err)
	require.Equal(t, 151, second.Files+second.Skipped)
	require.GreaterOrEqual(t, second.Skipped, first.Files)
	require.Empty(t, second.Differing)
	to := t.TempDir()
	_, err = d.Download(t.Context(), "", to, nil)
	require.NoError(t, err)
	requireTree(t, filepath.Join(to, "in"), content)
}

// listing is a kind of datastore that has one file of that path, as a bucket may
// have it.
type listing struct{ path string }

func (listing) Type() string { return "Listing" }

func (l listing) Source() (backend.DatastoreSource, error) {
	return backend.DatastoreSource{Type: l.Type()}, nil
}

func (l listing) Open(context.Context, backend.DatastoreSource) (backend.Datastore, error) {
	return listingStore{Objects: memory.NewObjects(), path: l.path}, nil
}

type listingStore struct {
	backend.Objects
	path string
}

func (listingStore) Close() error                { return nil }
func (listingStore) Check(context.Context) error { return nil }

func (s listingStore) List(context.Context, *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) { yield(backend.Info{Key: s.path, Size: 1}, nil) }
}

func TestDownloadRefusesWhatLeadsOut(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"../x", "a/../../x", "/etc/x", "a//b", "a/", "..", "a/./b", ".azml-1.part"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			opts := workspacetest.Options(dir)
			opts.Datastores = []backend.DatastoreDriver{listing{path}}
			ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), opts)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
			d, err := ws.Datastores().Register(t.Context(), "bad", listing{path}, nil)
			require.NoError(t, err)
			to := filepath.Join(t.TempDir(), "to")
			_, err = d.Download(t.Context(), "", to, nil)
			require.ErrorIs(t, err, azml.ErrInvalid)
			require.ErrorContains(t, err, fmt.Sprintf("%q", path))
			require.NoDirExists(t, to)
			require.False(t, errors.Is(err, azml.ErrNotFound))
		})
	}
}

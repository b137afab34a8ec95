package azureblob_test

import (
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/internal/testenv"
)

func datastoreSource(server *testenv.AzuriteServer, containerName, prefix string) backend.DatastoreSource {
	return backend.DatastoreSource{Type: azureblob.DatastoreType,
		Connection:  map[string]string{"account": server.Account, "container": containerName, "endpoint": server.URL, "prefix": prefix},
		Credentials: backend.Credentials{"accountKey": server.Key}}
}

func openDatastore(t *testing.T, source backend.DatastoreSource) backend.Datastore {
	t.Helper()
	opened, err := azureblob.Driver{}.Open(t.Context(), source)
	require.NoError(t, err)
	t.Cleanup(requireNoError(t, opened.Close))
	return opened
}

func TestDatastore(t *testing.T) {
	t.Parallel()
	server := azurite(t, testenv.AzuriteOptions{})
	for _, prefix := range []string{"", "in/a folder/", "beginning-"} {
		t.Run(prefix, func(t *testing.T) {
			t.Parallel()
			backendtest.DataFiles(t, func(t *testing.T) backendtest.DataFilesHarness {
				d := openDatastore(t, datastoreSource(server, newContainer(t, server.ConnectionString(), nil), prefix))
				require.NoError(t, d.Check(t.Context()))
				require.NoError(t, d.(backend.DatastoreCreator).Create(t.Context())) // it is there
				return backendtest.DataFilesHarness{Files: d.(backend.DataFiles), Links: true}
			})
		})
	}
}

// TestDatastoreOfOthersFiles reads blobs that another program has written, and
// shows it those of a datastore.
func TestDatastoreOfOthersFiles(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := azurite(t, testenv.AzuriteOptions{})
	name := newContainer(t, server.ConnectionString(), nil)
	others, err := container.NewClientFromConnectionString(server.ConnectionString(), name, nil)
	require.NoError(t, err)
	files := openDatastore(t, datastoreSource(server, name, "")).(backend.DataFiles)
	names := []string{"a b/ü.csv", "dir/~x!.txt", "plain.txt"}
	for _, name := range names[1:] {
		_, err := others.NewBlockBlobClient(name).UploadBuffer(ctx, []byte(name), nil)
		require.NoError(t, err)
	}
	_, err = others.NewBlockBlobClient("marker/").UploadBuffer(ctx, nil, nil)
	require.NoError(t, err)
	_, err = files.Put(ctx, names[0], strings.NewReader(names[0]), &backend.PutOptions{})
	require.NoError(t, err)
	_, err = others.NewBlobClient(names[0]).GetProperties(ctx, nil)
	require.NoError(t, err)
	var listed []string
	for info, err := range files.List(ctx, &backend.ListOptions{}) {
		require.NoError(t, err)
		listed = append(listed, info.Key)
	}
	require.Equal(t, names, listed)
}

func TestDatastoreFailures(t *testing.T) {
	t.Parallel()
	server := azurite(t, testenv.AzuriteOptions{})
	missing := datastoreSource(server, "not-there", "")
	err := openDatastore(t, missing).Check(t.Context())
	require.ErrorIs(t, err, azml.ErrNotFound)
	wrong := datastoreSource(server, newContainer(t, server.ConnectionString(), nil), "")
	wrong.Credentials["accountKey"] = strings.Repeat("A", 86) + "=="
	err = openDatastore(t, wrong).Check(t.Context())
	require.ErrorIs(t, err, azml.ErrDenied)
	require.NotContains(t, err.Error(), wrong.Credentials["accountKey"])
	for name, change := range map[string]func(s backend.DatastoreSource){
		"signature": func(s backend.DatastoreSource) { s.Connection["endpoint"] += "?sig=secret" },
		"no URL":    func(s backend.DatastoreSource) { s.Connection["endpoint"] = "x" },
		"key":       func(s backend.DatastoreSource) { s.Credentials["accountKey"] = "no base64!" },
		"container": func(s backend.DatastoreSource) { s.Connection["container"] = "" },
	} {
		bad := datastoreSource(server, "c", "")
		change(bad)
		_, err := azureblob.Driver{}.Open(t.Context(), bad)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
		require.NotContains(t, err.Error(), "secret", name)
	}
}

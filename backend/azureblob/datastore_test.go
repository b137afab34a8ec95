package azureblob_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/azureblob"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/prefixed"
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

// TestOwnDatastore has the files of a workspace's own datastore below those of
// another: to other programs, they have their own names.
func TestOwnDatastore(t *testing.T) {
	t.Parallel()
	connection := azurite(t, testenv.AzuriteOptions{}).ConnectionString()
	backendtest.DataFiles(t, func(t *testing.T) backendtest.DataFilesHarness {
		s := byKey(connection)(t, newContainer(t, connection, nil), azureblob.Options{Prefix: "a team."})
		return backendtest.DataFilesHarness{Files: prefixed.New(s, backend.FilesPrefix), Links: true}
	})
}

// TestOthersFilesOfAWorkspace finds the blobs that another program has written
// among those of a workspace, and shows it the workspace's.
func TestOthersFilesOfAWorkspace(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	connection := azurite(t, testenv.AzuriteOptions{}).ConnectionString()
	name := newContainer(t, connection, nil)
	others, err := container.NewClientFromConnectionString(connection, name, nil)
	require.NoError(t, err)
	s := byKey(connection)(t, name, azureblob.Options{Prefix: "a team."})
	const place = "a!Vteam..~~/data/" // spelled as the keys of all others
	for _, name := range []string{"über uns.csv", "raw/a b.csv", "marker/", "two//slashes", "!V"} {
		_, err := others.NewBlockBlobClient(place+name).UploadBuffer(ctx, []byte(name), nil)
		require.NoError(t, err)
	}
	for _, key := range []string{"data", "data ", "data!/x", "data/~ours é.csv", "z z"} {
		_, err := s.Put(ctx, key, strings.NewReader("x"), &backend.PutOptions{})
		require.NoError(t, err)
	}
	_, err = others.NewBlobClient(place+"~ours é.csv").GetProperties(ctx, nil)
	require.NoError(t, err)
	list := func(opts backend.ListOptions) (keys []string) {
		for info, err := range s.List(ctx, &opts) {
			require.NoError(t, err)
			keys = append(keys, info.Key)
		}
		return keys
	}
	files := []string{"data/!V", "data/raw/a b.csv", "data/~ours é.csv", "data/über uns.csv"}
	require.Equal(t, slices.Concat([]string{"data", "data ", "data!/x"}, files, []string{"z z"}), list(backend.ListOptions{}))
	require.Equal(t, files[2:], list(backend.ListOptions{Prefix: "data/", StartAfter: files[1]}))
	require.Equal(t, files[3:], list(backend.ListOptions{Prefix: "data/ü"}))
	require.Equal(t, []string{"data", "data ", "data!/", "data/"}, list(backend.ListOptions{Prefix: "d", Delimiter: "/"}))
	require.Equal(t, []string{"data/!V", "data/marker/", "data/raw/", "data/two/", "data/~ours é.csv", "data/über uns.csv"}, list(backend.ListOptions{Prefix: "data/", Delimiter: "/"}))
	object, err := s.Get(ctx, files[3], &backend.GetOptions{})
	require.NoError(t, err)
	require.EqualValues(t, len("über uns.csv"), object.Info.Size)
	require.NoError(t, object.Body.Close())
	for _, key := range []string{`data/a\b`, "data/a.", "data/a./b"} {
		_, err = s.Put(ctx, key, strings.NewReader("x"), &backend.PutOptions{})
		require.ErrorIs(t, err, azml.ErrInvalid, key)
	}
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
		"name":      func(s backend.DatastoreSource) { s.Connection["container"] = "My_Data" },
	} {
		bad := datastoreSource(server, "c", "")
		change(bad)
		_, err := azureblob.Driver{}.Open(t.Context(), bad)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
		require.NotContains(t, err.Error(), "secret", name)
	}
}

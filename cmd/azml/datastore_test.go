package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/datastore"
)

func TestDatastores(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.Contains(t, s.ok(t, "datastore", "list"), "workspaceblobstore (default)")
	data, store := t.TempDir(), t.TempDir()
	write(t, data, "a/x.csv", "1,2\n")
	write(t, data, "b.txt", "text")
	var made datastoreView
	s.json(t, &made, "datastore", "create", "raw", "--folder", store, "--description", "as it came", "--tag", "team=risk")
	require.Equal(t, datastore.TypeFolder, made.Type)
	require.Equal(t, store, made.Connection["path"])
	require.Contains(t, s.fails(t, exitError, "datastore", "create", "raw", "--folder", data), "Another datastore with the same name already exists")
	require.Contains(t, s.fails(t, exitError, "datastore", "create", "gone", "--folder", filepath.Join(data, "none")), "not found")
	s.fails(t, exitUsage, "datastore", "create", "both", "--folder", data, "--http", "http://x")
	s.fails(t, exitUsage, "datastore", "create", "none")
	s.fails(t, exitUsage, "datastore", "create", "b", "--blob", "account")

	var moved datastore.Transfer
	s.json(t, &moved, "datastore", "upload", "raw", data, "in")
	require.Equal(t, datastore.Transfer{Files: 2, Bytes: 8}, moved)
	require.Contains(t, s.ok(t, "datastore", "upload", "azureml://datastores/raw/paths/in", data), "skipped 2 files that are there already")
	var files []datastore.File
	s.json(t, &files, "datastore", "ls", "raw", "in")
	require.Equal(t, []string{"in/a/", "in/b.txt"}, []string{files[0].Path, files[1].Path})
	s.json(t, &files, "datastore", "ls", "raw", "-r")
	require.Len(t, files, 2)
	require.Contains(t, s.ok(t, "datastore", "ls", "raw", "in/a/"), "in/a/x.csv")

	require.Contains(t, s.fails(t, exitError, "datastore", "link", "raw", "in/b.txt"), "makes no links")

	s.ok(t, "datastore", "set-default", "raw")
	s.json(t, &made, "datastore", "show")
	require.Equal(t, "raw", made.Name)
	require.True(t, made.IsDefault)
	to := t.TempDir()
	require.Contains(t, s.ok(t, "datastore", "download", "raw", "in/a", "--dir", to), "Downloaded 1 file (4 B)")
	text, err := os.ReadFile(filepath.Join(to, "in", "a", "x.csv"))
	require.NoError(t, err)
	require.Equal(t, "1,2\n", string(text))
	require.Contains(t, s.fails(t, exitError, "datastore", "download", "raw", "nothing", "--dir", to), "not found")

	require.Contains(t, s.fails(t, exitError, "datastore", "delete", "raw"), "default")
	s.ok(t, "datastore", "set-default", "workspaceblobstore")
	s.ok(t, "datastore", "delete", "raw")
	require.FileExists(t, filepath.Join(store, "in", "b.txt"))
	s.fails(t, exitError, "datastore", "show", "raw")
}

func TestDatastoreCredentialIsRead(t *testing.T) {
	t.Parallel()
	s := setup(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ann" || password != "pass-w0rd" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	create := []string{"-w", s.dir, "datastore", "create", "web", "--http", server.URL, "--user", "ann"}
	refused := call(t, "guessed-w0rd\n", create...)
	require.Equal(t, exitError, refused.code)
	require.Contains(t, refused.stderr, "permission denied")
	taken := call(t, "pass-w0rd\n", create...)
	require.Zero(t, taken.code, taken.stderr)
	require.Contains(t, taken.stdout, "in the secret store")
	require.NotContains(t, refused.stderr+taken.stdout+taken.stderr, "-w0rd")
	s.ok(t, "datastore", "show", "web", "--check")
}

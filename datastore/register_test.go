package datastore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
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

func names(t *testing.T, c *datastore.Client) []string {
	t.Helper()
	var list []string
	for d, err := range c.List(t.Context(), nil) {
		require.NoError(t, err)
		list = append(list, d.Name())
	}
	return list
}

func TestRegister(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	stores := open(t).Datastores()
	dir := t.TempDir()
	made, err := stores.Register(ctx, "raw_data", datastore.Folder{Path: dir}, &datastore.RegisterOptions{Description: "as it came", Tags: map[string]string{"team": "risk"}})
	require.NoError(t, err)
	got, err := stores.Get(ctx, "raw_data", nil)
	require.NoError(t, err)
	require.Equal(t, made.Details(), got.Details())
	d := got.Details()
	require.Equal(t, datastore.TypeFolder, d.Type)
	require.Equal(t, map[string]string{"path": dir}, d.Connection)
	require.False(t, d.HasCredentials)
	require.Equal(t, []string{"workspaceblobstore", "raw_data"}, names(t, stores))

	other := t.TempDir()
	_, err = stores.Register(ctx, "raw_data", datastore.Folder{Path: other}, nil)
	require.ErrorIs(t, err, azml.ErrExists)
	require.ErrorContains(t, err, "Another datastore with the same name already exists")
	again, err := stores.Register(ctx, "raw_data", datastore.Folder{Path: other}, &datastore.RegisterOptions{Overwrite: true})
	require.NoError(t, err)
	require.Equal(t, other, again.Details().Connection["path"])
	require.Equal(t, d.Created, again.Details().Created)
	require.Empty(t, again.Details().Tags)

	write(t, again, "kept.txt", "1")
	require.NoError(t, stores.Unregister(ctx, "raw_data", nil))
	require.FileExists(t, filepath.Join(other, "kept.txt"))
	require.ErrorIs(t, stores.Unregister(ctx, "raw_data", nil), azml.ErrNotFound)
	_, err = stores.Get(ctx, "raw_data", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	stores := open(t).Datastores()
	dir := t.TempDir()
	file := workspacetest.File(t, dir, "file", "x")
	good := datastore.Folder{Path: dir}
	for name, tt := range map[string]struct {
		name   string
		config datastore.Config
		class  error
	}{
		"empty name":         {"", good, azml.ErrInvalid},
		"dash":               {"a-b", good, azml.ErrInvalid},
		"path":               {"../x", good, azml.ErrInvalid},
		"long":               {strings.Repeat("a", 256), good, azml.ErrInvalid},
		"the own":            {"workspaceblobstore", good, azml.ErrInvalid},
		"Azure ML's":         {"WorkspaceFileStore", good, azml.ErrInvalid},
		"no config":          {"a", nil, azml.ErrInvalid},
		"no folder":          {"a", datastore.Folder{Path: filepath.Join(dir, "none")}, azml.ErrNotFound},
		"a file":             {"a", datastore.Folder{Path: file}, azml.ErrNotFound},
		"empty path":         {"a", datastore.Folder{}, azml.ErrInvalid},
		"no bucket":          {"a", datastore.S3{}, azml.ErrInvalid},
		"half a key":         {"a", datastore.S3{Bucket: "b", AccessKeyID: "x"}, azml.ErrInvalid},
		"no driver":          {"a", datastore.S3{Bucket: "b"}, azml.ErrUnsupported},
		"two credentials":    {"a", datastore.Blob{Account: "a", Container: "c", AccountKey: "k", SASToken: "s"}, azml.ErrInvalid},
		"no container":       {"a", datastore.Blob{Account: "a"}, azml.ErrInvalid},
		"secret in the URL":  {"a", datastore.HTTP{URL: "https://u:pw@host/"}, azml.ErrInvalid},
		"signature in a URL": {"a", datastore.HTTP{URL: "https://host/?sig=pw"}, azml.ErrInvalid},
		"no server":          {"a", datastore.HTTP{URL: "http://127.0.0.1:1/"}, azml.ErrUnavailable},
		"no database":        {"a", datastore.SQLite{Path: filepath.Join(dir, "none.db")}, azml.ErrNotFound},
		"nobody":             {"a", datastore.PostgreSQL{Host: "h", Database: "d"}, azml.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := stores.Register(t.Context(), tt.name, tt.config, nil)
			require.ErrorIs(t, err, tt.class)
			require.NotContains(t, err.Error(), "pw")
		})
	}
	require.Equal(t, []string{"workspaceblobstore"}, names(t, stores))

	made, err := stores.Register(t.Context(), "later", datastore.Folder{Path: filepath.Join(dir, "later")}, &datastore.RegisterOptions{SkipValidation: true})
	require.NoError(t, err)
	require.ErrorIs(t, made.Check(t.Context(), nil), azml.ErrNotFound)
	_, err = stores.Register(t.Context(), "now", datastore.Folder{Path: filepath.Join(dir, "now")}, &datastore.RegisterOptions{Create: true})
	require.NoError(t, err)
	require.DirExists(t, filepath.Join(dir, "now"))
}

func TestDefault(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	stores := open(t).Datastores()
	standard, err := stores.Default(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, datastore.OwnName, standard.Name())
	require.ErrorIs(t, stores.SetDefault(ctx, "nothing", nil), azml.ErrNotFound)
	_, err = stores.Register(ctx, "mine", datastore.Folder{Path: t.TempDir()}, nil)
	require.NoError(t, err)
	require.NoError(t, stores.SetDefault(ctx, "mine", nil))
	standard, err = stores.Default(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, "mine", standard.Name())
	require.ErrorIs(t, stores.Unregister(ctx, "mine", nil), azml.ErrConflict)
	require.NoError(t, stores.SetDefault(ctx, datastore.OwnName, nil))
	require.NoError(t, stores.Unregister(ctx, "mine", nil))
	require.ErrorIs(t, stores.Unregister(ctx, datastore.OwnName, nil), azml.ErrInvalid)
}

// TestOwnDatastore shows that files of the workspace's own datastore don't get
// in the way of the workspace, in a folder and elsewhere.
func TestOwnDatastore(t *testing.T) {
	t.Parallel()
	elsewhere, err := workspace.Create(t.Context(), workspace.Config{Name: "elsewhere", Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), CacheDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, elsewhere.Close(context.Background())) })
	for name, ws := range map[string]*workspace.Workspace{"local": open(t), "elsewhere": elsewhere} {
		t.Run(name, func(t *testing.T) {
			d, err := ws.Datastores().Default(t.Context(), nil)
			require.NoError(t, err)
			require.NoError(t, d.Check(t.Context(), nil))
			for _, path := range []string{"README", "a/B.CSV", "experiments/x.json", "datastores/y.json"} {
				write(t, d, path, path)
			}
			got, err := fs.ReadFile(d.FS(t.Context(), "a"), "B.CSV")
			require.NoError(t, err)
			require.Equal(t, "a/B.CSV", string(got))
			if dir := ws.Details().Location; dir != "" {
				require.FileExists(t, filepath.Join(dir, "Datastore", "README"))
			}
			report, err := ws.Fsck(t.Context(), nil)
			require.NoError(t, err)
			require.Empty(t, report.Problems)
			require.Empty(t, report.Notes)
			require.Equal(t, []string{"workspaceblobstore"}, names(t, ws.Datastores()))
		})
	}
}

// hidden are the credentials of TestCredentialsAreNowhere.
var hidden = []string{"hunter2/the+secret=", "t0ken-0f-http", "p4ssword-of-http"}

// TestCredentialsAreNowhere looks through all that is written and said.
func TestCredentialsAreNowhere(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	var log bytes.Buffer
	opts := workspacetest.Options(dir)
	opts.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	opts.Datastores = []backend.DatastoreDriver{s3.Driver{}, leaking{}}
	ws, err := workspace.Open(ctx, filepath.Join(dir, "ws"), opts)
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, r.Header.Get("Authorization"), http.StatusForbidden)
	}))
	defer server.Close()
	skip := &datastore.RegisterOptions{SkipValidation: true}
	var said []string
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	for name, config := range map[string]datastore.Config{
		"s3":      datastore.S3{Endpoint: "http://127.0.0.1:1", Bucket: "bucket", Region: "r", AccessKeyID: "id", SecretAccessKey: datastore.Secret(hidden[0])},
		"bearer":  datastore.HTTP{URL: server.URL, BearerToken: datastore.Secret(hidden[1])},
		"basic":   datastore.HTTP{URL: server.URL, User: "ann", Password: datastore.Secret(hidden[2])},
		"leaking": leak{},
	} {
		d, err := ws.Datastores().Register(ctx, name, config, skip)
		require.NoError(t, err)
		require.True(t, d.Details().HasCredentials)
		text, err := json.Marshal([]any{config, d, d.Details()})
		require.NoError(t, err)
		source, err := config.Source()
		require.NoError(t, err)
		encoded, err := json.Marshal(source)
		require.NoError(t, err)
		say("%s %s %v %+v %#v %d %x %v %+v %v %#v", text, encoded, config, config, config, config, config, source, d, d.Details(), source.Credentials)
		_, err = ws.Datastores().Register(ctx, name+"_2", config, nil)
		require.Error(t, err)
		say("%v %+v", err, err)
		if name == "s3" {
			continue // it would be tried for long
		}
		_, err = d.Stat(ctx, "x", nil)
		require.Error(t, err)
		say("%v %+v", err, err)
	}
	report, err := ws.Fsck(ctx, nil)
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	require.NoError(t, ws.Datastores().Unregister(ctx, "bearer", nil))
	require.NoError(t, ws.Close(ctx))
	say("%s", log.String())
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		say("%s", data)
		return err
	}))
	for _, text := range said {
		for _, secret := range hidden {
			require.NotContains(t, text, secret)
		}
	}
	left, err := os.ReadDir(filepath.Join(dir, "ws", ".secrets"))
	require.NoError(t, err)
	kept := 0
	for _, e := range left {
		if strings.HasPrefix(e.Name(), "secret-datastore-") {
			kept++
		}
	}
	require.Equal(t, 3, kept, "the credentials of what was unregistered or not registered are gone")
}

// leak is a config whose driver tells its secrets in errors.
type leak struct{}

func (leak) Source() (backend.DatastoreSource, error) {
	return backend.DatastoreSource{Type: leaking{}.Type(), Credentials: backend.Credentials{"key": hidden[0]}}, nil
}

type leaking struct{}

func (leaking) Type() string { return "Leaking" }

func (leaking) Open(_ context.Context, source backend.DatastoreSource) (backend.Datastore, error) {
	return leakyStore{key: source.Credentials["key"]}, nil
}

type leakyStore struct {
	backend.DataFiles
	key string
}

func (s leakyStore) Close() error { return nil }

func (s leakyStore) Check(context.Context) error {
	return fmt.Errorf("%w: GET /?key=%s", azml.ErrDenied, url.QueryEscape(s.key))
}

func (s leakyStore) Stat(context.Context, string) (backend.Info, error) {
	return backend.Info{}, fmt.Errorf("%w: key %q is refused", azml.ErrDenied, s.key)
}

// TestExpiredCredentials has a server refuse a key that it took before.
func TestExpiredCredentials(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := testenv.S3(t)
	opts := workspacetest.Options(t.TempDir())
	opts.Datastores = []backend.DatastoreDriver{s3.Driver{}}
	ws, err := workspace.Open(ctx, filepath.Join(t.TempDir(), "ws"), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	config := datastore.S3{Endpoint: server.Endpoint, Bucket: "data", Region: server.Region, AccessKeyID: server.AccessKey, SecretAccessKey: datastore.Secret(server.SecretKey)}
	_, err = ws.Datastores().Register(ctx, "lake", config, nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	d, err := ws.Datastores().Register(ctx, "lake", config, &datastore.RegisterOptions{Create: true})
	require.NoError(t, err)
	write(t, d, "x", "1")

	config.SecretAccessKey = "an-old-one"
	_, err = ws.Datastores().Register(ctx, "lake", config, &datastore.RegisterOptions{Overwrite: true})
	require.ErrorIs(t, err, azml.ErrDenied)
	_, err = d.Stat(ctx, "x", nil)
	require.NoError(t, err, "what was not registered changes nothing")
	old, err := ws.Datastores().Register(ctx, "lake", config, &datastore.RegisterOptions{Overwrite: true, SkipValidation: true})
	require.NoError(t, err)
	_, err = old.Open(ctx, "x", nil)
	require.ErrorIs(t, err, azml.ErrDenied)
	require.ErrorContains(t, err, "register the datastore anew")
	for _, err := range old.Files(ctx, "", nil) {
		require.ErrorIs(t, err, azml.ErrDenied)
	}
	config.SecretAccessKey = datastore.Secret(server.SecretKey)
	renewed, err := ws.Datastores().Register(ctx, "lake", config, &datastore.RegisterOptions{Overwrite: true})
	require.NoError(t, err)
	_, err = renewed.Stat(ctx, "x", nil)
	require.NoError(t, err)
}

package rundata_test

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/gateway"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/rundata"
	"github.com/azml-go/azml/workspace"
)

// far is a run whose agent is elsewhere, with data of its own and that of others.
type far struct {
	ws      *workspace.Workspace
	h       core.Handle
	run     record.Run
	address string
	token   string
	client  *gateway.Client
	// cuts is how many connections are still to break, each after some bytes.
	cuts atomic.Int32
}

const bigSize = 5 << 20

func newFar(t *testing.T) *far {
	t.Helper()
	ws, err := workspace.Open(t.Context(), filepath.Join(t.TempDir(), "ws"), &workspace.OpenOptions{CacheDir: t.TempDir(), SecretsKeyFile: filepath.Join(t.TempDir(), "key")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	f := &far{ws: ws, h: workspace.Handle(ws)}
	for path, text := range map[string]string{"in/a.txt": "one", "in/big": bigText(), "other/x.txt": "other", "shared/there": "another's", "other/t.csv": "x\n1\n"} {
		f.write(t, path, text)
	}
	f.register(t, "in", "in/")
	f.register(t, "other", "other/")
	f.register(t, "out", "other/x.txt") // a version of the run's own name that is not the run's
	_, err = ws.Datastores().Register(t.Context(), "closed", datastore.Folder{Path: t.TempDir()}, nil)
	require.NoError(t, err)
	_, err = ws.Experiments().CreateOrUpdate(t.Context(), "e", nil)
	require.NoError(t, err)
	in, out, err := rundata.Plan(t.Context(), f.h, map[string]dataset.Input{"in": {ID: "in:1"}, "named": {ID: "other:1", Mode: dataset.ModeDirect}},
		map[string]dataset.Output{"out": {Register: "out"}, "common": {Target: dataset.Path{Path: "shared"}}})
	require.NoError(t, err)
	stored, err := history.Create(t.Context(), f.h, record.Run{ID: "mine", Experiment: "e", Status: record.Running, Definition: &record.Definition{Inputs: in, Outputs: out}})
	require.NoError(t, err)
	f.run = stored.Value
	f.serve(t)
	return f
}

// bigText is the same bytes each time, of which no two parts are the same.
func bigText() string {
	data := make([]byte, bigSize)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	return string(data)
}

func (f *far) write(t *testing.T, path, text string) {
	t.Helper()
	store, err := f.ws.Datastores().Default(t.Context(), nil)
	require.NoError(t, err)
	_, err = store.Write(t.Context(), path, strings.NewReader(text), nil)
	require.NoError(t, err)
}

func (f *far) register(t *testing.T, name, path string) {
	t.Helper()
	d, err := f.ws.Datasets().FromFiles(t.Context(), []dataset.Path{{Path: path}}, nil)
	require.NoError(t, err)
	_, err = d.Register(t.Context(), name, nil)
	require.NoError(t, err)
}

// serve serves the gateway of the run until the test ends.
func (f *far) serve(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	log := slog.New(slog.DiscardHandler)
	token, digest := gateway.NewToken()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	handler := gateway.New(f.h.Objects(), f.h.Secrets(), digest, gateway.NewRunScope(f.h, f.run, rundata.NewScope(f.h, f.run)), log)
	go func() { done <- gateway.Serve(ctx, &cutting{l, &f.cuts}, handler, log) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	f.address, f.token = "unix:"+path, token
	f.client, err = gateway.Dial(f.address, token)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.client.Close()) })
}

// cutting is a listener some of whose connections break.
type cutting struct {
	net.Listener
	cuts *atomic.Int32
}

// Accept implements net.Listener.
func (l *cutting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		cut := &cutConn{Conn: c, cuts: l.cuts}
		const most = 700_000
		cut.left.Store(most)
		c = cut
	}
	return c, err
}

// cutConn breaks after some bytes, in either direction, while cuts are left.
type cutConn struct {
	net.Conn
	cuts *atomic.Int32
	left atomic.Int64
}

func (c *cutConn) count(n int) {
	if c.left.Add(-int64(n)) < 0 && c.cuts.Load() > 0 && c.cuts.Add(-1) >= 0 {
		_ = c.Close()
	}
}

// Read implements io.Reader.
func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.count(n)
	return n, err
}

// Write implements io.Writer.
func (c *cutConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.count(n)
	return n, err
}

// TestFarData has the inputs of a run come, and its outputs go, through a gateway
// whose connections break again and again.
func TestFarData(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	cache := t.TempDir()
	h, closer, err := gateway.Open(t.Context(), f.address, f.token, gateway.OpenOptions{CacheDir: cache})
	require.NoError(t, err)
	defer func() { require.NoError(t, closer.Close()) }()
	defer func() { require.NoError(t, h.Close(t.Context())) }()
	var log bytes.Buffer
	at := agent.DataPlace{Dir: filepath.Join(t.TempDir(), "data"), WorkingDir: t.TempDir(), Log: &log, Warn: func(format string, args ...any) { t.Errorf(format, args...) }}
	f.cuts.Store(6)
	data, err := rundata.Bind(t.Context(), h, f.run, at)
	require.NoError(t, err)
	require.Less(t, f.cuts.Load(), int32(6), "connections broke")
	got, err := os.ReadFile(filepath.Join(data.Variables["in"], "big"))
	require.NoError(t, err)
	require.True(t, string(got) == bigText())
	require.Equal(t, "other:1", data.Variables["named"])

	out, common := data.Variables["out"], data.Variables["common"]
	require.NoError(t, os.WriteFile(filepath.Join(out, "big"), got, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(common, "new"), []byte("new"), 0o600))
	f.cuts.Store(3)
	require.NoError(t, data.Take(t.Context()))
	require.Less(t, f.cuts.Load(), int32(3), "connections broke")
	require.NoError(t, data.Close())
	made, err := f.ws.Datasets().Get(t.Context(), "out", 2, nil)
	require.NoError(t, err)
	require.Equal(t, "mine", made.Details().RunID)
	dir := t.TempDir()
	_, err = made.Download(t.Context(), dir, nil)
	require.NoError(t, err)
	got, err = os.ReadFile(filepath.Join(dir, "big"))
	require.NoError(t, err)
	require.True(t, string(got) == bigText())
	stored, err := history.Get(t.Context(), f.h, "mine")
	require.NoError(t, err)
	require.Len(t, stored.Value.Datasets, 2)
	require.Len(t, stored.Value.DatasetOutputs, 2)
	require.Equal(t, "out:2", stored.Value.DatasetOutputs[1].Dataset)

	log.Reset()
	at.Dir = filepath.Join(t.TempDir(), "data")
	data, err = rundata.Bind(t.Context(), h, f.run, at)
	require.NoError(t, err)
	require.Contains(t, log.String(), "in:1 is on this machine already")
	require.NoError(t, data.Close())
}

// TestForeignFiles reaches for files and queries that are not the run's.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	ctx := t.Context()
	own := f.client.Datastore(datastore.OwnName)
	for _, path := range []string{"other/x.txt", "in/../other/x.txt", `in\..\b/x.txt`, "in/./a.txt", "in", "", "dataset/foreign/out/a", "dataset/mine/out/../../other", "none"} {
		_, err := own.Get(ctx, path, &backend.GetOptions{})
		require.ErrorIs(t, err, azml.ErrDenied, "get %s", path)
		_, err = own.Stat(ctx, path)
		require.ErrorIs(t, err, azml.ErrDenied, "stat %s", path)
	}
	for _, path := range []string{"in/a.txt", "in/new", "other/x.txt", "dataset/foreign/out/a", "dataset/mine/out/../x", "new"} {
		for _, opts := range []backend.PutOptions{{}, {IfNoneMatch: true}} {
			_, err := own.Put(ctx, path, strings.NewReader("x"), &opts)
			require.ErrorIs(t, err, azml.ErrDenied, "put %s", path)
		}
		require.ErrorIs(t, own.Delete(ctx, path, &backend.DeleteOptions{}), azml.ErrDenied, "delete %s", path)
	}
	for _, prefix := range []string{"", "other/", "i", "dataset/", "dataset/foreign/"} {
		for _, err := range own.List(ctx, &backend.ListOptions{Prefix: prefix}) {
			require.ErrorIs(t, err, azml.ErrDenied, "list %s", prefix)
		}
	}
	_, err := own.Put(ctx, "shared/there", strings.NewReader("x"), &backend.PutOptions{IfNoneMatch: true})
	require.ErrorIs(t, err, azml.ErrExists)
	_, err = own.Put(ctx, "shared/there", strings.NewReader("x"), &backend.PutOptions{})
	require.ErrorIs(t, err, azml.ErrDenied, "a file of somebody else in a folder that others use, too")
	require.ErrorIs(t, own.Delete(ctx, "shared/there", &backend.DeleteOptions{}), azml.ErrDenied)
	_, err = own.Append(ctx, "dataset/mine/out/a", 0, []byte("x"))
	require.ErrorIs(t, err, azml.ErrUnsupported)
	for _, path := range []string{"shared/own", "dataset/mine/out/a"} {
		_, err = own.Put(ctx, path, strings.NewReader("1"), &backend.PutOptions{IfNoneMatch: true})
		require.NoError(t, err)
		_, err = own.Put(ctx, path, strings.NewReader("2"), &backend.PutOptions{})
		require.NoError(t, err, "its own")
		require.NoError(t, own.Delete(ctx, path, &backend.DeleteOptions{}))
	}
	for _, name := range []string{"closed", "none", "https://example.org"} {
		_, err := f.client.Datastore(name).Get(ctx, "in/a.txt", &backend.GetOptions{})
		require.ErrorIs(t, err, azml.ErrDenied, name)
	}
	_, err = own.Query(ctx, "SELECT 1")
	require.ErrorIs(t, err, azml.ErrDenied)
}

// TestForeignRecords reaches for records of datasets that are not the run's.
func TestForeignRecords(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	ctx := t.Context()
	version := func(name string, change func(*record.Dataset)) string {
		def := record.DataDefinition{Type: record.DatasetFile, Paths: []record.DataPath{{Datastore: datastore.OwnName, Path: "dataset/mine/out/"}}}
		r := record.Dataset{Name: name, Version: 2, RunID: "mine", Output: "out", Definition: def}
		change(&r)
		r.DefinitionID = dataset.DefinitionID(r.Definition)
		data, err := record.Encode(&r, nil)
		require.NoError(t, err)
		return string(data)
	}
	definition := func(id, path string) (key, text string) {
		def := record.DataDefinition{Type: record.DatasetFile, Paths: []record.DataPath{{Datastore: datastore.OwnName, Path: path}}}
		if id == "" {
			id = dataset.DefinitionID(def)
		}
		data, err := record.Encode(&record.DatasetDefinition{ID: id, Definition: def}, nil)
		require.NoError(t, err)
		return "dataset-definitions/" + id + ".json", string(data)
	}
	none := func(*record.Dataset) {}
	foreign, foreignText := definition("", "other/")
	for key, text := range map[string]string{
		"datasets/other/0000000002.json":     version("other", none),
		"datasets/in/0000000001.json":        version("in", none),
		"datasets/out/0000000003.json":       version("out", none), // not the number that it says
		"datasets/out/0000000001.json":       version("out", func(r *record.Dataset) { r.Version = 1 }),
		"datasets/out/0000000002.json":       version("out", func(r *record.Dataset) { r.RunID = "foreign" }),
		"datasets/out/0000000002.json ":      version("out", func(r *record.Dataset) { r.Definition.Paths[0].Path = "other/" }),
		"datasets/out/0000000002.json  ":     version("out", func(r *record.Dataset) { r.Output = "common" }),
		"datasets/out/x":                     "{}",
		foreign:                              foreignText,
		"datastores/closed.json":             "{}",
		"datastores/workspaceblobstore.json": "{}",
	} {
		key = strings.TrimSpace(key)
		before, _ := f.h.Objects().Stat(ctx, key)
		for _, opts := range []backend.PutOptions{{}, {IfNoneMatch: true}, {IfMatch: "x"}} {
			_, err := f.client.Put(ctx, key, strings.NewReader(text), &opts)
			require.Error(t, err, key)
			require.NotErrorIs(t, err, azml.ErrExists, key)
			require.NotErrorIs(t, err, azml.ErrConflict, key)
		}
		require.ErrorIs(t, f.client.Delete(ctx, key, &backend.DeleteOptions{}), azml.ErrDenied, key)
		after, _ := f.h.Objects().Stat(ctx, key)
		require.Equal(t, before, after, key)
	}
	key, text := definition(strings.Repeat("0", 32), "dataset/mine/out/")
	_, err := f.client.Put(ctx, key, strings.NewReader(text), &backend.PutOptions{IfNoneMatch: true})
	require.ErrorIs(t, err, azml.ErrDenied, "an ID that is another's")
	for _, key := range []string{"datastores/closed.json", foreign, "datasets/nobody/0000000001.json"} {
		if _, err := f.client.Get(ctx, key, &backend.GetOptions{}); !strings.Contains(key, "nobody") {
			require.ErrorIs(t, err, azml.ErrDenied, key)
		}
	}
	for _, prefix := range []string{"datasets/", "dataset-definitions/", "datastores/"} {
		for info, err := range f.client.List(ctx, &backend.ListOptions{Prefix: prefix}) {
			require.NoError(t, err)
			require.Regexp(t, "^datasets/(in/0000000001|other/0000000001|out/)", info.Key)
		}
	}
	key, text = definition("", "dataset/mine/out/")
	_, err = f.client.Put(ctx, key, strings.NewReader(text), &backend.PutOptions{IfNoneMatch: true})
	require.NoError(t, err)
	info, err := f.client.Put(ctx, "datasets/out/0000000002.json", strings.NewReader(version("out", none)), &backend.PutOptions{IfNoneMatch: true})
	require.NoError(t, err)
	_, err = f.client.Put(ctx, "datasets/out/0000000002.json", strings.NewReader(version("out", none)), &backend.PutOptions{IfMatch: info.ETag})
	require.NoError(t, err)
}

// TestScopeStays: a run can't write itself a wider scope.
func TestScopeStays(t *testing.T) {
	t.Parallel()
	f := newFar(t)
	ctx := t.Context()
	change := func(id string, change func(*record.Run)) error {
		stored, err := history.Get(ctx, f.h, id)
		require.NoError(t, err)
		r := stored.Value
		change(&r)
		data, err := record.Encode(&r, nil)
		require.NoError(t, err)
		_, err = f.client.Put(ctx, history.Ref(id).Key, bytes.NewReader(data), &backend.PutOptions{IfMatch: stored.ETag})
		return err
	}
	require.ErrorIs(t, change("mine", func(r *record.Run) { r.Definition.AllowWorkspace = true }), azml.ErrDenied)
	require.ErrorIs(t, change("mine", func(r *record.Run) { r.Definition.Inputs[0].Dataset = "other:1" }), azml.ErrDenied)
	require.NoError(t, change("mine", func(r *record.Run) { r.Description = "changed" }))
	_, err := history.Create(ctx, f.h, record.Run{ID: "child", Experiment: "e", Status: record.Running, MadeIn: "mine"})
	require.NoError(t, err)
	require.ErrorIs(t, change("child", func(r *record.Run) { r.Definition = &record.Definition{AllowWorkspace: true} }), azml.ErrDenied)
	require.ErrorIs(t, change("child", func(r *record.Run) { r.Agent = &record.Agent{Job: "x"} }), azml.ErrDenied)
	require.NoError(t, change("child", func(r *record.Run) { r.Description = "changed" }))
}

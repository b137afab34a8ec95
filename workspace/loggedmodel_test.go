package workspace_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
	"github.com/azml-go/azml/workspace"
)

// handle opens the workspace as the packages below do.
func handle(t *testing.T, objects backend.Objects) core.Handle {
	t.Helper()
	h := core.New(core.Config{Objects: objects, CacheDir: t.TempDir(), Workspace: record.Workspace{ID: "w"}})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	return h
}

// logModel makes a logged model with files and metrics, as MLflow clients do.
func logModel(t *testing.T, objects backend.Objects) {
	t.Helper()
	ctx := t.Context()
	h := handle(t, objects)
	_, err := history.CreateLoggedModel(ctx, h, record.LoggedModel{ID: "m-1", Experiment: "e", Name: "logged"})
	require.NoError(t, err)
	for _, name := range []string{"MLmodel", "weights"} {
		batch, err := h.Files().NewBatch(ctx, nil)
		require.NoError(t, err)
		require.NoError(t, batch.Add(ctx, name, 0o644, strings.NewReader(name+" of the logged model")))
		manifest, _, err := batch.Commit(ctx)
		require.NoError(t, err)
		require.NoError(t, history.LoggedModelFiles("m-1").Add(ctx, h, manifest, false))
	}
	log, err := history.ModelMetrics(h, "m-1")
	require.NoError(t, err)
	w, err := log.NewWriter()
	require.NoError(t, err)
	require.NoError(t, w.Log(history.ModelSeries{Metric: "acc", RunID: "r1"}.Name(), 0.5, 1, time.Time{}))
	require.NoError(t, w.Close(ctx))
	_, err = history.SetLoggedModelStatus(ctx, h, "m-1", record.LoggedModelReady)
	require.NoError(t, err)
}

// A logged model keeps its files until it is deleted, and a version that was
// registered from it keeps them longer.
func TestGCOfLoggedModels(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws, objects, _ := filled(t)
	h := handle(t, objects)
	read := func(list history.FileList) string {
		file, err := list.Find(ctx, h, "weights")
		require.NoError(t, err)
		content, err := h.Files().Open(ctx, file)
		require.NoError(t, err)
		defer content.Close()
		data, err := io.ReadAll(content)
		require.NoError(t, err)
		return string(data)
	}
	collect := func() {
		for range 2 {
			_, err := ws.GC(ctx, &workspace.GCOptions{Exclusive: true})
			require.NoError(t, err)
		}
		require.True(t, fsck(t, ws).Clean())
	}
	collect()
	require.Equal(t, "weights of the logged model", read(history.LoggedModelFiles("m-1")))

	one, err := history.LoggedModelFiles("m-1").Files(ctx, h, "weights")
	require.NoError(t, err)
	kept, err := registry.Register(ctx, h, "kept", record.Model{ModelID: "m-1", Path: "weights"}, one)
	require.NoError(t, err)
	_, err = registry.Register(ctx, h, "kept", record.Model{Source: "s3://bucket/x"}, nil)
	require.NoError(t, err)
	require.NoError(t, history.DeleteLoggedModel(ctx, h, "m-1"))
	collect()
	require.Equal(t, "weights of the logged model", read(history.FixedFiles(kept.Value.Manifest)))
	h = handle(t, objects) // which has nothing in mind
	require.Equal(t, "weights of the logged model", read(history.FixedFiles(kept.Value.Manifest)))
	own, err := history.LoggedModelFiles("m-1").Files(ctx, h, "")
	require.NoError(t, err)
	require.Empty(t, own.Files, "what it alone had is gone")
}

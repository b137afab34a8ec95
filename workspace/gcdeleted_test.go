package workspace_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/token"
	"github.com/azml-go/azml/workspace"
)

// collect collects garbage as if grace periods were over, and gives what the last
// of two runs did together with the first.
func collect(t *testing.T, ws *workspace.Workspace, retain time.Duration) (runs, tokens int) {
	t.Helper()
	for range 2 {
		report, err := ws.GC(t.Context(), &workspace.GCOptions{Exclusive: true, Retain: retain})
		require.NoError(t, err)
		runs, tokens = runs+report.Runs, tokens+report.Tokens
	}
	require.Empty(t, fsck(t, ws).Problems)
	return runs, tokens
}

// storedFile stores a file for a list.
func storedFile(t *testing.T, h core.Handle, path, content string) *files.Manifest {
	t.Helper()
	batch, err := h.Files().NewBatch(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, batch.Add(t.Context(), path, 0o644, strings.NewReader(content)))
	manifest, _, err := batch.Commit(t.Context())
	require.NoError(t, err)
	return manifest
}

// contentOf reads a stored file; ok is false when its content is gone.
func contentOf(t *testing.T, objects backend.Objects, f files.File) (text string, ok bool) {
	t.Helper()
	content, err := handle(t, objects).Files().Open(t.Context(), f)
	require.NoError(t, err)
	defer content.Close()
	data, err := io.ReadAll(content)
	return string(data), err == nil
}

// TestGCOfReplacedFiles: what was replaced or removed goes, all else stays, of
// runs and of logged models, and for a model that has it longer.
func TestGCOfReplacedFiles(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws, objects, _ := filled(t)
	h := handle(t, objects)
	r1, err := history.Get(ctx, h, "r1")
	require.NoError(t, err)
	for name, list := range map[string]history.FileList{"run": history.RunFiles(r1.Value), "logged model": history.LoggedModelFiles("m-1")} {
		var versions []files.File
		for _, content := range []string{"first", "second", "third"} {
			manifest := storedFile(t, h, "sub/replaced", content+" of the "+name)
			require.NoError(t, list.Add(ctx, h, manifest, true))
			versions = append(versions, manifest.Files[0])
		}
		removed := storedFile(t, h, "sub/removed", "removed from the "+name)
		require.NoError(t, list.Add(ctx, h, removed, true))
		require.NoError(t, list.Remove(ctx, h, "sub/removed"))
		before, err := list.Files(ctx, h, "")
		require.NoError(t, err)
		_, err = ws.GC(ctx, &workspace.GCOptions{DryRun: true, Exclusive: true})
		require.NoError(t, err)
		_, err = ws.GC(ctx, nil)
		require.NoError(t, err)
		for _, f := range append(versions, removed.Files...) {
			_, ok := contentOf(t, objects, f)
			require.True(t, ok, "not before its grace is over")
		}
		collect(t, ws, 0)
		for i, f := range append(versions, removed.Files...) {
			_, ok := contentOf(t, objects, f)
			require.Equal(t, i == 2, ok, "%s %d", name, i)
		}
		for _, h := range []core.Handle{h, handle(t, objects)} { // one that has read the list, and one that has not
			after, err := list.Files(ctx, h, "")
			require.NoError(t, err)
			require.Equal(t, before, after)
		}
		for _, f := range before.Files {
			_, ok := contentOf(t, objects, f)
			require.True(t, ok, f.Path)
		}
		require.NoError(t, list.Add(ctx, h, storedFile(t, h, "later", "more"), false), "it goes on")
	}
}

// TestGCOfDeletedLoggedModels: their metrics go, the record stays.
func TestGCOfDeletedLoggedModels(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws, objects, _ := filled(t)
	h := handle(t, objects)
	left := func() (keys []string) {
		for info, err := range objects.List(ctx, &backend.ListOptions{Prefix: "logged-models/"}) {
			require.NoError(t, err)
			keys = append(keys, info.Key)
		}
		return keys
	}
	collect(t, ws, 0)
	require.Greater(t, len(left()), 2, "a record, files and metrics")
	require.NoError(t, history.DeleteLoggedModel(ctx, h, "m-1"))
	_, err := ws.GC(ctx, nil)
	require.NoError(t, err)
	require.Greater(t, len(left()), 2, "not before its grace is over")
	collect(t, ws, 0)
	require.Equal(t, []string{"logged-models/m-1.json"}, left())
}

// deletedRun makes a run as MLflow clients do, and deletes it as they do.
func deletedRun(t *testing.T, h core.Handle, id string, status record.Status) files.File {
	t.Helper()
	ctx := t.Context()
	draft := record.Run{ID: id, Experiment: "e", Type: "mlflow.run", Status: status}
	stored, err := history.Create(ctx, h, draft)
	require.NoError(t, err)
	manifest := storedFile(t, h, "a", "of the run "+id)
	require.NoError(t, history.RunFiles(stored.Value).Add(ctx, h, manifest, false))
	setDeleted(t, h, id, h.Now())
	return manifest.Files[0]
}

func setDeleted(t *testing.T, h core.Handle, id string, at time.Time) {
	t.Helper()
	_, err := history.Update(t.Context(), h, id, core.Quiet, func(r *record.Run) error { r.Deleted = at; return nil })
	require.NoError(t, err)
}

// TestGCOfDeletedRuns: what MLflow clients have deleted can be restored for a
// month, and is removed then, whether it had ended or not.
func TestGCOfDeletedRuns(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws, objects, _ := filled(t)
	h := handle(t, objects)
	of := map[string]files.File{}
	for id, status := range map[string]record.Status{"ended": record.Completed, "running": record.Running, "restored": record.Completed, "driven": record.Running} {
		of[id] = deletedRun(t, h, id, status)
	}
	owner := h.Owner()
	_, err := history.Update(ctx, h, "driven", core.Quiet, func(r *record.Run) error { r.Owner = &owner; return nil })
	require.NoError(t, err)
	there := func(id string) bool {
		_, err := history.Get(ctx, h, id)
		if err != nil {
			require.ErrorIs(t, err, azml.ErrNotFound)
		}
		_, ok := contentOf(t, objects, of[id])
		require.Equal(t, err == nil, ok, "a run and its file")
		return ok
	}
	runs, _ := collect(t, ws, 0)
	require.Zero(t, runs)
	for id := range of {
		require.True(t, there(id), "%s can be restored", id)
	}
	setDeleted(t, h, "restored", time.Time{})
	dry, err := ws.GC(ctx, &workspace.GCOptions{DryRun: true, Retain: time.Nanosecond})
	require.NoError(t, err)
	require.Equal(t, 2, dry.Runs)
	runs, _ = collect(t, ws, time.Nanosecond)
	require.Equal(t, 2, runs)
	for id, want := range map[string]bool{"ended": false, "running": false, "restored": true, "driven": true} {
		require.Equal(t, want, there(id), id)
	}
}

// TestGCFinishesWhatItBegan: a removal that was cut off can't be restored, and is
// taken up by the next run.
func TestGCFinishesWhatItBegan(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws, objects, _ := filled(t)
	h := handle(t, objects)
	deletedRun(t, h, "cut", record.Running)
	stored, err := history.Expunge(ctx, h, "cut", h.Now().Add(time.Hour))
	require.NoError(t, err)
	require.False(t, stored.Value.Expunged.IsZero())
	require.Equal(t, record.Canceled, stored.Value.Status)
	runs, _ := collect(t, ws, time.Nanosecond)
	require.Equal(t, 1, runs)
	_, err = history.Get(ctx, h, "cut")
	require.ErrorIs(t, err, azml.ErrNotFound)
}

// TestGCOfTokens: those that ended long ago go, but never the last one.
func TestGCOfTokens(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws, _, _ := filled(t)
	create := func(name string, life time.Duration) *token.Token {
		tok, _, err := ws.Tokens().Create(ctx, name, token.RoleReader, &token.CreateOptions{Life: life})
		require.NoError(t, err)
		return tok
	}
	names := func() (names []string) {
		for tok, err := range ws.Tokens().List(ctx, nil) {
			require.NoError(t, err)
			names = append(names, tok.Name())
		}
		return names
	}
	for tok, err := range ws.Tokens().List(ctx, nil) { // of the workspace as it is
		require.NoError(t, err)
		_, err = ws.Tokens().Revoke(ctx, tok.ID(), nil)
		require.NoError(t, err)
	}
	revoked := create("revoked", time.Hour)
	create("expired", time.Nanosecond)
	create("active", time.Hour)
	_, err := ws.Tokens().Revoke(ctx, revoked.ID(), nil)
	require.NoError(t, err)
	before := len(names())
	_, tokens := collect(t, ws, 0)
	require.Zero(t, tokens, "they are listed for a month")
	dry, err := ws.GC(ctx, &workspace.GCOptions{DryRun: true, Retain: time.Nanosecond})
	require.NoError(t, err)
	require.Equal(t, before-1, dry.Tokens)
	require.Len(t, names(), before)
	_, tokens = collect(t, ws, time.Nanosecond)
	require.Equal(t, before-1, tokens)
	require.Equal(t, []string{"active"}, names())
	last := create("last", time.Nanosecond)
	for tok, err := range ws.Tokens().List(ctx, nil) {
		require.NoError(t, err)
		_, err = ws.Tokens().Revoke(ctx, tok.ID(), nil)
		require.NoError(t, err)
	}
	_, tokens = collect(t, ws, time.Nanosecond)
	require.Equal(t, 1, tokens)
	require.Equal(t, []string{last.Name()}, names(), "a workspace that once had tokens is never open again")
	needed, err := ws.Tokens().Any(ctx)
	require.NoError(t, err)
	require.True(t, needed)
}

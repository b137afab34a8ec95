package e2e

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/workspace"
)

func bytesOf(text string) io.Reader { return strings.NewReader(text) }

// stopped tells a story and a delete of all it made on a store that stops after n writes, and
// gives the number of writes and whether the story got to its end.
func stopped(t *testing.T, objects *memory.Objects, secrets *memory.Secrets, cache string, n int) (writes int, done bool) {
	t.Helper()
	breaking := faulty.New(objects, faulty.Plan{StopAfterWrites: n})
	config := workspace.Config{Name: "story", Objects: breaking, Secrets: breaking.Secrets(secrets), CacheDir: cache}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ws, err := workspace.Create(ctx, config)
	if err == nil {
		err = quickStory(ctx, ws)
		closeErr := ws.Close(ctx)
		require.True(t, closeErr == nil || errors.Is(closeErr, azml.ErrClosed), "%v", closeErr)
	}
	writes = breaking.Counts().Writes
	if err != nil {
		require.ErrorIs(t, err, azml.ErrClosed, "after %d writes", n)
	}
	return writes, err == nil
}

// quickStory is story without a process, and with an end of everything.
func quickStory(ctx context.Context, ws *workspace.Workspace) error {
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "churn", nil)
	if err != nil {
		return err
	}
	r, err := oneRun(ctx, exp, "story")
	if err != nil {
		return err
	}
	for _, name := range []string{"outputs/model.txt", "outputs/b", "outputs/c"} {
		if err := r.Upload(ctx, name, bytesOf(name), nil); err != nil {
			return err
		}
	}
	m, err := r.RegisterModel(ctx, "churn", "outputs/model.txt", nil)
	if err != nil {
		return err
	}
	if err := ws.Secrets().Set(ctx, "token", "s3cret"); err != nil {
		return err
	}
	if err := serve(ctx, ws, endpoint.Config{Model: m, Handler: double}); err != nil {
		return err
	}
	return errors.Join(ws.Models().Delete(ctx, "churn", m.Version(), nil), ws.Runs().Delete(ctx, r.ID(), nil),
		ws.Secrets().Delete(ctx, "token"))
}

func TestStopAfterEachWrite(t *testing.T) {
	t.Parallel()
	stride := size(1, 5)
	writes, done := stopped(t, memory.NewObjects(), memory.NewSecrets(), t.TempDir(), 0)
	require.True(t, done)
	for n := 1; n <= writes; n += stride {
		objects, secrets, cache := memory.NewObjects(), memory.NewSecrets(), t.TempDir()
		_, done := stopped(t, objects, secrets, cache, n)
		config := workspace.Config{Name: "story", Objects: objects, Secrets: secrets, CacheDir: cache}
		ws, err := workspace.New(t.Context(), config)
		if errors.Is(err, azml.ErrNotFound) { // it stopped before the workspace was made
			ws, err = workspace.Create(t.Context(), config)
		}
		require.NoError(t, err, "after %d of %d writes (done: %v)", n, writes, done)
		report, err := ws.Fsck(t.Context(), &workspace.FsckOptions{Deep: true})
		require.NoError(t, err)
		require.Empty(t, report.Problems, "after %d of %d writes", n, writes)
		require.NoError(t, endStopped(t.Context(), ws), "after %d of %d writes", n, writes)
		require.NoError(t, quickStory(t.Context(), ws), "after %d of %d writes", n, writes)
		clean(t, ws)
		closeAll(t, ws)
	}
}

// endStopped deletes what a stopped process served: as it is this very
// process, nobody can tell that it is gone.
func endStopped(ctx context.Context, ws *workspace.Workspace) error {
	err := ws.Endpoints().Delete(ctx, "churn", nil)
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	return err
}

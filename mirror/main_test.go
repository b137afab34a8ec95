package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/mirror"
	"github.com/azml-go/azml/workspace"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	goleak.VerifyTestMain(m)
}

// child syncs in a process of its own, which says when it begins.
func child(dir string) int {
	ctx := context.Background()
	opts := &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "key"), MustExist: true}
	src, err1 := workspace.Open(ctx, filepath.Join(dir, "src"), opts)
	dst, err2 := workspace.Open(ctx, filepath.Join(dir, "dst"), opts)
	fmt.Println("begun")
	if err := errors.Join(err1, err2); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	report, err := workspace.Sync(ctx, dst, src, nil)
	err = errors.Join(err, src.Close(ctx), dst.Close(ctx))
	if err != nil || len(report.Conflicts)+len(report.Damaged) > 0 {
		fmt.Fprintln(os.Stderr, err, report)
		return 1
	}
	return 0
}

// created makes a workspace in the stores.
func created(t testing.TB, name string, objects backend.Objects) *workspace.Workspace {
	t.Helper()
	ws, err := workspace.Create(t.Context(), workspace.Config{Objects: objects, Secrets: memory.NewSecrets(), Name: name, CacheDir: t.TempDir()})
	require.NoError(t, err)
	closed(t, ws)
	return ws
}

// opened opens the workspace once more, as another process would.
func opened(t testing.TB, objects backend.Objects, cache string) *workspace.Workspace {
	t.Helper()
	ws, err := workspace.New(t.Context(), workspace.Config{Objects: objects, Secrets: memory.NewSecrets(), CacheDir: cache})
	require.NoError(t, err)
	closed(t, ws)
	return ws
}

// reopened is opened for a store that may fail.
func reopened(t testing.TB, objects backend.Objects) (*workspace.Workspace, error) {
	t.Helper()
	ws, err := workspace.New(t.Context(), workspace.Config{Objects: objects, Secrets: memory.NewSecrets(), CacheDir: t.TempDir()})
	if err == nil {
		closed(t, ws)
	}
	return ws, err
}

func closed(t testing.TB, ws *workspace.Workspace) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = ws.Close(ctx)
	})
}

// pair makes two workspaces in memory.
func pair(t testing.TB) (cloud, laptop *workspace.Workspace) {
	t.Helper()
	return created(t, "cloud", memory.NewObjects()), created(t, "laptop", memory.NewObjects())
}

func synced(t testing.TB, dst, src *workspace.Workspace, opts *mirror.Options) *mirror.Report {
	t.Helper()
	report, err := workspace.Sync(t.Context(), dst, src, opts)
	require.NoError(t, err)
	return report
}

// clean syncs and wants nothing to be left.
func clean(t testing.TB, dst, src *workspace.Workspace) *mirror.Report {
	t.Helper()
	report := synced(t, dst, src, nil)
	require.Empty(t, report.Conflicts)
	require.Empty(t, report.Damaged)
	sound(t, dst)
	return report
}

// sound checks the whole workspace.
func sound(t testing.TB, ws *workspace.Workspace) {
	t.Helper()
	report, err := ws.Fsck(t.Context(), &workspace.FsckOptions{Deep: true})
	require.NoError(t, err)
	require.Empty(t, report.Problems)
}

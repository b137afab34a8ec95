package endpoint

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

func TestSweepOfWorkDirs(t *testing.T) {
	t.Parallel()
	h := core.New(core.Config{Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), CacheDir: t.TempDir(), Workspace: record.Workspace{ID: "w"}})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	require.NoError(t, sweep(h), "there is nothing yet")
	alive, err := newWorkDir(h, "a")
	require.NoError(t, err)
	for range 3 {
		dead, err := newWorkDir(h, "a")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dead.path, "model.bin"), nil, 0o600))
		require.NoError(t, dead.lock.Close(), "as the end of a process does")
	}
	require.NoError(t, sweep(h))
	left, err := os.ReadDir(workDirs(h))
	require.NoError(t, err)
	require.Len(t, left, 2)
	require.DirExists(t, alive.path)
	require.NoError(t, alive.remove())
	left, err = os.ReadDir(workDirs(h))
	require.NoError(t, err)
	require.Empty(t, left)
}

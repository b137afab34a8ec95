package workspace_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(dir string) *workspace.OpenOptions {
	return &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "secrets.key")}
}

// openOnly opens the workspace "ws" in dir; the caller closes it.
func openOnly(t *testing.T, dir string) *workspace.Workspace {
	t.Helper()
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), options(dir))
	require.NoError(t, err)
	return ws
}

// open is openOnly for a workspace that is closed with the test.
func open(t *testing.T, dir string) *workspace.Workspace {
	t.Helper()
	ws := openOnly(t, dir)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, ws.Close(ctx))
	})
	return ws
}

package model_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a new workspace that is closed with the test.
func open(t *testing.T) *workspace.Workspace {
	t.Helper()
	return reopen(t, t.TempDir())
}

// reopen opens the workspace in dir once more, as another process would.
func reopen(t *testing.T, dir string) *workspace.Workspace {
	t.Helper()
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), &workspace.OpenOptions{
		CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "secrets.key")})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, ws.Close(ctx))
	})
	return ws
}

// file writes a file and gives its path.
func file(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

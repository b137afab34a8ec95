// Package workspacetest opens workspaces for the tests of the packages above
// the seam: each in a temporary folder, closed with its test.
package workspacetest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/workspace"
)

// Options keep the cache and the key of secrets inside the test's folder dir.
func Options(dir string) *workspace.OpenOptions {
	return &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "secrets.key")}
}

// Open opens a new workspace in a folder of the test's own.
func Open(t testing.TB) *workspace.Workspace {
	t.Helper()
	return Reopen(t, t.TempDir())
}

// Reopen opens the workspace "ws" in dir, once more if it is open already, as
// another process would.
func Reopen(t testing.TB, dir string) *workspace.Workspace {
	t.Helper()
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), Options(dir))
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, ws.Close(ctx))
	})
	return ws
}

// File writes a file below dir, whose name may hold slashes, and gives its path.
func File(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

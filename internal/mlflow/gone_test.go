package mlflow

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFolderGone moves the workspace's folder away and removes it: clients are told
// to try again, and not where it was.
func TestFolderGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := open(t, dir)
	handler, err := New(h, nil)
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	s := &served{t, h, handler, server.URL}
	id := s.story()
	const api = "/api/2.0/mlflow/"
	unavailable := func(a answer) {
		t.Helper()
		require.Equal(t, http.StatusServiceUnavailable, a.status, "%s", a.body)
		require.Equal(t, string(codeUnavailable), a.code())
		require.NotContains(t, string(a.body), filepath.Base(dir))
		require.NotContains(t, string(a.body), ".localfs")
	}
	writes := func() {
		t.Helper()
		unavailable(s.send("POST", api+"experiments/create", jsonType, `{"name":"q"}`))
		unavailable(s.send("POST", api+"runs/create", jsonType, `{"experiment_id":"e"}`))
		unavailable(s.send("PUT", s.artifact(id, "a/c.txt"), "", "x"))
	}
	moved := filepath.Join(dir, "moved")
	require.NoError(t, os.Rename(filepath.Join(dir, "ws"), moved))
	writes()
	require.NoError(t, os.RemoveAll(moved))
	writes()
	for _, path := range []string{"runs/get?run_id=" + id, "runs/get?run_id=none", "experiments/get?experiment_id=e", "registered-models/get?name=x", "experiments/search?max_results=1"} {
		unavailable(s.send("GET", api+path, "", ""))
	}
}

package kubernetes

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRegistryFails has it told once for each image that the registry gives none with azml
// in it, unless that is since the image itself is not there.
func TestRegistryFails(t *testing.T) {
	t.Parallel()
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/":
		case strings.Contains(r.URL.Path, "/missing/"):
			w.WriteHeader(http.StatusNotFound)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	defer registry.Close()
	host := strings.TrimPrefix(registry.URL, "http://")
	const kubeconfig = `{apiVersion: v1, kind: Config, clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}], contexts: [{name: x, context: {cluster: c}}], current-context: x}`
	var log bytes.Buffer
	d, err := New(Target{Kubeconfig: []byte(kubeconfig), Registry: host + "/runs"}, &Options{CacheDir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	defer d.Close()
	for image, told := range map[string]int{host + "/a:1": 1, host + "/b:1": 1, host + "/missing:1": 0, "elsewhere.test/a:1": 0} {
		for range 2 {
			c, err := d.withProgram(t.Context(), image, program{})
			require.NoError(t, err)
			require.Empty(t, c.image)
		}
		require.Equal(t, told, strings.Count(log.String(), "image="+image+" "), log.String())
	}
}

package mlflow

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

var testWorkspace = record.Workspace{ID: "5e2e7b2c-0000-4000-8000-000000000000", Name: "test"}

// open opens the workspace in dir, as any process would.
func open(t testing.TB, dir string) core.Handle {
	t.Helper()
	objects, err := localfs.New(filepath.Join(dir, "ws"), nil)
	require.NoError(t, err)
	h := core.New(core.Config{Objects: objects, Secrets: memory.NewSecrets(), CacheDir: filepath.Join(dir, "cache"), Who: "owner@test",
		Workspace: testWorkspace})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, h.Close(ctx))
		require.NoError(t, objects.Close())
	})
	return h
}

// served is a workspace that is served to clients.
type served struct {
	t       testing.TB
	core    core.Handle
	handler *Handler
	url     string
}

// serve serves a new workspace.
func serve(t testing.TB, opts *Options) *served {
	t.Helper()
	h := open(t, t.TempDir())
	handler, err := New(h, opts)
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &served{t, h, handler, server.URL}
}

// answer is what the server answered.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// code gives the error code of the answer, empty for none.
func (a answer) code() string {
	var e struct {
		Code string `json:"error_code"`
	}
	_ = json.Unmarshal(a.body, &e)
	return e.Code
}

// send sends a request. The path stands as it is in the request line.
func (s *served) send(method, path, contentType, body string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url, bytes.NewReader([]byte(body)))
	require.NoError(s.t, err)
	req.URL.Opaque = path // not cleaned, not escaped
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return answer{resp.StatusCode, resp.Header, data}
}

// post sends a message, which must be answered well, and reads the answer.
func post[Resp any](s *served, path string, message any) Resp {
	s.t.Helper()
	a := s.send(http.MethodPost, "/api/2.0/mlflow/"+path, jsonType, string(encode(s.t, message)))
	require.Equal(s.t, http.StatusOK, a.status, "%s: %s", path, a.body)
	var resp Resp
	require.NoError(s.t, json.Unmarshal(a.body, &resp))
	return resp
}

type object = map[string]any

// get asks with GET, which must be answered well, and reads the answer.
func get[Resp any](s *served, path string) Resp {
	s.t.Helper()
	a := s.send(http.MethodGet, "/api/2.0/mlflow/"+path, "", "")
	require.Equal(s.t, http.StatusOK, a.status, "%s: %s", path, a.body)
	var resp Resp
	require.NoError(s.t, json.Unmarshal(a.body, &resp))
	return resp
}

func encode(t testing.TB, message any) []byte {
	t.Helper()
	data, err := json.Marshal(message)
	require.NoError(t, err)
	return data
}

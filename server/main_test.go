package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/token"
	"github.com/azml-go/azml/workspace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// served is a workspace that is served on a port of this machine.
type served struct {
	t    testing.TB
	ws   *workspace.Workspace
	srv  *Server
	addr string
	// stop ends serving and gives what Serve returned.
	stop func() error
}

// serve serves a new workspace. change may set limits first.
func serve(t *testing.T, opts *Options, change func(*Server)) *served {
	t.Helper()
	return serveWorkspace(t, workspacetest.Open(t), opts, change)
}

func serveWorkspace(t testing.TB, ws *workspace.Workspace, opts *Options, change func(*Server)) *served {
	t.Helper()
	srv, err := New(ws, opts)
	require.NoError(t, err)
	if change != nil {
		change(srv)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, l, nil) }()
	s := &served{t: t, ws: ws, srv: srv, addr: l.Addr().String()}
	var ended bool
	s.stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	return s
}

// token makes a token of the role.
func (s *served) token(role token.Role) string {
	s.t.Helper()
	_, secret, err := s.ws.Tokens().Create(s.t.Context(), "test-"+string(role), role, nil)
	require.NoError(s.t, err)
	return string(secret)
}

// answered is what the server answered.
type answered struct {
	status int
	header http.Header
	body   string
}

// code gives MLflow's error code, empty for none.
func (a answered) code() string {
	var e struct {
		Code string `json:"error_code"`
	}
	_ = json.Unmarshal([]byte(a.body), &e)
	return e.Code
}

// client keeps no connection, so that none outlives a test.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}

// send sends a request with header lines, each "Name: value". The path stands
// as it is in the request line.
func (s *served) send(method, path, body string, lines ...string) answered {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.addr, bytes.NewReader([]byte(body)))
	require.NoError(s.t, err)
	req.URL.Opaque = path
	req.Header.Set("Content-Type", "application/json")
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return answered{resp.StatusCode, resp.Header, string(data)}
}

func bearer(secret string) string { return "Authorization: Bearer " + secret }

// The requests that tests make most.
const (
	search = "/api/2.0/mlflow/experiments/search"
	create = "/api/2.0/mlflow/experiments/create"
	remove = "/api/2.0/mlflow/experiments/delete"
)

// run makes an experiment "e" with a run and gives the run's ID.
func (s *served) run(lines ...string) string {
	s.t.Helper()
	a := s.send("POST", create, `{"name":"e"}`, lines...)
	require.Equal(s.t, http.StatusOK, a.status, a.body)
	a = s.send("POST", "/api/2.0/mlflow/runs/create", `{"experiment_id":"e"}`, lines...)
	require.Equal(s.t, http.StatusOK, a.status, a.body)
	var made struct {
		Run struct {
			Info struct {
				ID string `json:"run_id"`
			} `json:"info"`
		} `json:"run"`
	}
	require.NoError(s.t, json.Unmarshal([]byte(a.body), &made))
	return made.Run.Info.ID
}

// raw sends text as it is and gives all that comes back until the server closes
// the connection.
func (s *served) raw(text string) string {
	s.t.Helper()
	conn := s.dial()
	defer conn.Close()
	_, _ = io.WriteString(conn, text) // the server may have hung up before the end
	require.NoError(s.t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	back, err := io.ReadAll(conn)
	if netErr, ok := err.(net.Error); ok {
		require.False(s.t, netErr.Timeout(), "the server keeps the connection: %q", back)
	}
	return string(back)
}

func (s *served) dial() net.Conn {
	s.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(s.t.Context(), "tcp", s.addr)
	require.NoError(s.t, err)
	return conn
}

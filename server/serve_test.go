package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/workspace"
)

// The server's end lets a request end that is under way, and takes no more.
func TestGracefulEnd(t *testing.T) {
	t.Parallel()
	underWay := make(chan struct{}, 10)
	s := serve(t, nil, func(s *Server) {
		inner := s.mlflow
		s.mlflow = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				underWay <- struct{}{}
			}
			inner.ServeHTTP(w, r)
		})
	})
	id := s.run()
	content, feed := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+s.addr+"/api/2.0/mlflow-artifacts/artifacts/e/"+id+"/artifacts/a", content)
	require.NoError(t, err)
	status := make(chan int, 1)
	go func() {
		resp, err := client.Do(req)
		if err != nil {
			status <- 0
			return
		}
		_ = resp.Body.Close()
		status <- resp.StatusCode
	}()
	_, err = feed.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	<-underWay
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	require.Eventually(t, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 10*time.Second, 10*time.Millisecond)
	require.Empty(t, ended, "a request is under way")
	_, err = feed.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	require.NoError(t, feed.Close())
	require.Equal(t, http.StatusOK, <-status)
	require.NoError(t, <-ended)
}

// TestLoggedIsStoredAtTheEnd: nothing stays in the spool of a server that ends in
// order, though its workspace stays open; and it can serve again.
func TestLoggedIsStoredAtTheEnd(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, nil)
	id := s.run()
	log := func(s *served, step int) {
		a := s.send("POST", "/api/2.0/mlflow/runs/log-metric", fmt.Sprintf(`{"run_id":%q,"key":"m","value":1,"timestamp":1,"step":%d}`, id, step))
		require.Equal(t, http.StatusOK, a.status, a.body)
	}
	spooled := func() bool {
		found, err := filepath.Glob(filepath.Join(workspace.Handle(s.ws).Dir(), ".localfs", "spool", "metrics", "*", "*.spool"))
		require.NoError(t, err)
		return len(found) > 0
	}
	log(s, 1)
	require.True(t, spooled())
	require.NoError(t, s.stop())
	require.False(t, spooled())
	again := serveWorkspace(t, s.ws, nil, nil)
	log(again, 2)
	require.NoError(t, again.stop())
	require.False(t, spooled())
	r, err := s.ws.Runs().Get(t.Context(), id, nil)
	require.NoError(t, err)
	n := 0
	for _, err := range r.Metrics(t.Context(), nil) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 2, n)
}

// A request that doesn't end is broken off.
func TestEndDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	underWay := make(chan struct{})
	s := serve(t, nil, func(s *Server) {
		s.limits.Grace = 200 * time.Millisecond
		s.mlflow = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(underWay)
			<-r.Context().Done()
		})
	})
	conn := s.dial()
	defer conn.Close()
	_, err := io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	<-underWay
	require.NoError(t, s.stop())
	ends(t, conn)
}

// What was answered well is there after the server and its workspace have ended.
func TestLoggedPointsOutliveTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ws := workspacetest.Reopen(t, dir)
	s := serveWorkspace(t, ws, nil, nil)
	id := s.run()
	const points = 500
	for i := range points {
		a := s.send("POST", "/api/2.0/mlflow/runs/log-metric", fmt.Sprintf(`{"run_id":%q,"key":"m","value":%d,"timestamp":%d,"step":%d}`, id, i, i, i))
		require.Equal(t, http.StatusOK, a.status, a.body)
	}
	require.NoError(t, s.stop())
	require.NoError(t, ws.Close(t.Context()))
	r, err := workspacetest.Reopen(t, dir).Runs().Get(t.Context(), id, nil)
	require.NoError(t, err)
	sums, err := r.Summaries(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, points, sums["m"].Count)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	own := testenv.NewCertificate(t)
	for name, opts := range map[string]ServeOptions{
		"config": {TLS: &tls.Config{Certificates: []tls.Certificate{own.Pair}, MinVersion: tls.VersionTLS12}},
		"files":  {CertificateFile: own.File, KeyFile: own.KeyFile},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkTLS(t, own, &opts)
		})
	}
}

func TestTLSRefused(t *testing.T) {
	t.Parallel()
	own, another := testenv.NewCertificate(t), testenv.NewCertificate(t)
	srv, err := New(workspacetest.Open(t), nil)
	require.NoError(t, err)
	for name, opts := range map[string]ServeOptions{
		"another's key": {CertificateFile: own.File, KeyFile: another.KeyFile},
		"no key":        {CertificateFile: own.File},
		"both":          {CertificateFile: own.File, KeyFile: own.KeyFile, TLS: &tls.Config{MinVersion: tls.VersionTLS12}},
	} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.ErrorIs(t, srv.Serve(t.Context(), l, &opts), azml.ErrInvalid, name)
	}
}

func checkTLS(t *testing.T, own testenv.Certificate, opts *ServeOptions) {
	t.Helper()
	srv, err := New(workspacetest.Open(t), nil)
	require.NoError(t, err)
	srv.limits.Header = 300 * time.Millisecond
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- srv.Serve(ctx, l, opts)
	}()
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: own.Pool, ServerName: "localhost", MinVersion: tls.VersionTLS12})
	require.NoError(t, err)
	_, err = io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.NoError(t, conn.Close())

	silent, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	ends(t, silent) // a handshake that doesn't come has its time, too
	require.NoError(t, silent.Close())
	cancel()
	require.NoError(t, <-done)
}

// A listener that fails ends Serve with its error.
func TestListenerThatFails(t *testing.T) {
	t.Parallel()
	srv, err := New(workspacetest.Open(t), nil)
	require.NoError(t, err)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.ErrorIs(t, srv.Serve(t.Context(), l, nil), azml.ErrUnavailable)
}

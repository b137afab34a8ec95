package server

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/token"
)

// hasty are limits that a test can wait for.
func hasty(s *Server) {
	s.limits.Header, s.limits.Idle, s.limits.Body, s.limits.Write = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
	s.limits.BodyRate, s.limits.Connections, s.limits.Grace = 1<<20, 8, 500*time.Millisecond
}

// ends waits until the server closes the connection, and gives what it said.
func ends(t *testing.T, conn net.Conn) string {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	said, err := io.ReadAll(conn)
	if netErr, ok := err.(net.Error); ok {
		require.False(t, netErr.Timeout(), "the server keeps the connection: %q", said)
	}
	return string(said)
}

// Clients that take their time hold a connection for no longer than they may.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, hasty)
	id := s.run()
	post := "POST " + create + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	put := "PUT /api/2.0/mlflow-artifacts/artifacts/e/" + id + "/artifacts/a HTTP/1.1\r\nHost: localhost\r\n"
	for name, begin := range map[string]string{
		"nothing":                  "",
		"half a request line":      "GET /hea",
		"half the headers":         "GET /health HTTP/1.1\r\nHost: loc",
		"headers without an end":   "GET /health HTTP/1.1\r\nHost: localhost\r\n",
		"no body":                  post + "Content-Length: 10\r\n\r\n",
		"half a body":              post + "Content-Length: 10\r\n\r\n{\"na",
		"half a chunk":             post + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"n",
		"no last chunk":            post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
		"half a file":              put + "Content-Length: 100000\r\n\r\nhalf",
		"a body that nobody reads": "GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx",
		"a body for no route":      "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx",
		"idle after a request":     "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"expecting to continue":    post + "Expect: 100-continue\r\nContent-Length: 10\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := s.dial()
			defer conn.Close()
			_, err := io.WriteString(conn, begin)
			require.NoError(t, err)
			require.NotContains(t, ends(t, conn), " 500 ")
		})
	}
}

// One byte now and then is no way to keep a connection: that counts which came
// in altogether.
func TestDrip(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, hasty)
	conn := s.dial()
	defer conn.Close()
	_, err := io.WriteString(conn, "POST "+create+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
	require.NoError(t, err)
	var dripping sync.WaitGroup
	dripping.Go(func() {
		for range 200 {
			if _, err := conn.Write([]byte(" ")); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	begun := time.Now()
	require.Contains(t, ends(t, conn), "400 Bad Request")
	require.Less(t, time.Since(begun), 5*time.Second)
	_ = conn.Close()
	dripping.Wait()
}

// A body that comes in fast enough may take longer than one that doesn't come.
func TestLongUpload(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, hasty)
	id := s.run()
	const piece, pieces = 256 << 10, 6
	content, feed := io.Pipe()
	var feeding sync.WaitGroup
	feeding.Go(func() {
		for range pieces {
			time.Sleep(100 * time.Millisecond) // 2.5 MiB/s, in all twice as long as a body that doesn't come
			_, _ = feed.Write(make([]byte, piece))
		}
		_ = feed.Close()
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+s.addr+"/api/2.0/mlflow-artifacts/artifacts/e/"+id+"/artifacts/a", content)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	feeding.Wait()
	require.Len(t, s.send("GET", "/api/2.0/mlflow-artifacts/artifacts/e/"+id+"/artifacts/a", "").body, piece*pieces)
}

// A client that takes nothing of an answer is left.
func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, hasty)
	id := s.run()
	path := "/api/2.0/mlflow-artifacts/artifacts/e/" + id + "/artifacts/a"
	require.Equal(t, http.StatusOK, s.send("PUT", path, strings.Repeat("0123456789abcdef", 1<<20)).status)
	conn := s.dial()
	defer conn.Close()
	_, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	time.Sleep(4 * s.srv.limits.Write) // it takes nothing all the while
	require.Less(t, len(ends(t, conn)), 16<<20)
}

// More connections than there may be wait, and are answered once others have
// had their time.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, hasty)
	for range 5 * s.srv.limits.Connections {
		conn := s.dial()
		defer conn.Close()
		_, err := io.WriteString(conn, "GET /health HTTP/1.1\r\n")
		require.NoError(t, err)
	}
	begun := time.Now()
	require.Equal(t, http.StatusOK, s.send("GET", "/health", "").status)
	t.Logf("answered after %s, behind %d slow clients", time.Since(begun), 5*s.srv.limits.Connections)
}

func TestPanic(t *testing.T) {
	t.Parallel()
	var log lines
	s := serve(t, &Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(s *Server) {
		s.mlflow = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/half" {
				_, _ = io.WriteString(w, "half of an ans")
				_ = http.NewResponseController(w).Flush()
			}
			panic("a mistake of ours")
		})
	})
	a := s.send("GET", "/x", "")
	require.Equal(t, http.StatusInternalServerError, a.status)
	require.Equal(t, "INTERNAL_ERROR", a.code())
	require.NotContains(t, a.body, "mistake")
	require.Equal(t, 1, strings.Count(log.String(), "a mistake of ours"))
	require.Contains(t, log.String(), "bounds_test.go", "where it was")

	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.addr+"/half", nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "half of an answer doesn't pass for whole")
}

// lines is a log that goroutines write and a test reads.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String gives all of it.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestRequestLog(t *testing.T) {
	t.Parallel()
	var log lines
	s := serve(t, &Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, nil)
	secret := s.token(token.RoleReader)
	s.send("GET", search+"?max_results=7&secret=x", "", bearer(secret))
	s.send("GET", search, "", bearer("wrong"))
	s.send("GET", "/a%0aline", "", bearer(secret))
	require.NoError(t, s.stop())
	text := log.String()
	require.Regexp(t, `level=DEBUG msg=request method=GET path=/api/2.0/mlflow/experiments/search status=200 bytes=\d+ took=\S+ who=test-reader@token:[0-9a-f]{16} from=127`, text)
	require.Regexp(t, `level=INFO msg=request method=GET path=\S+ status=401 .* who="" from=127`, text)
	require.Equal(t, 3, strings.Count(text, "\n"), "a line each, whatever was in the path")
	for _, hidden := range []string{secret, "wrong", "secret=x"} {
		require.NotContains(t, text, hidden)
	}
}

// TestMemory sends what is refused in many ways, each time another: what the
// server keeps doesn't grow with it.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("sends some ten thousand requests: left out in short mode")
	}
	// Not parallel: other tests' memory would be counted.
	s := serve(t, nil, nil)
	id := s.run()
	secret := s.token(token.RoleContributor)
	keep := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	defer keep.CloseIdleConnections()
	send := func(method, path, body, auth, host string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.addr+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Host = host
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", auth)
		resp, err := keep.Do(req)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.GreaterOrEqual(t, resp.StatusCode, 400, "%s %s", method, path)
	}
	round := func(i int) {
		n := fmt.Sprint(i)
		good := "Bearer " + secret
		send("GET", "/"+n, "", "Bearer wrong"+n, "localhost")
		send("GET", search, "", "Bearer azml_"+fmt.Sprintf("%016x", i)+"_x", "localhost")
		send("GET", search, "", good, n+".example.com")
		send("GET", "/api/2.0/mlflow/nothing/"+n, "", good, "localhost")
		send("GET", "/api/2.0/mlflow/runs/get?run_id="+n, "", good, "localhost")
		send("POST", "/api/2.0/mlflow/runs/log-metric", `{"run_id":"none`+n+`","key":"m","value":1,"timestamp":1}`, good, "localhost")
		send("POST", "/api/2.0/mlflow/runs/log-metric", `{"run_id":"`+id+`","key":"`+n+`","value":"x","timestamp":1}`, good, "localhost")
		send("POST", create, `{"name":"`+n, good, "localhost")
		send("GET", "/api/2.0/mlflow-artifacts/artifacts/e/"+id+"/artifacts/"+n, "", good, "localhost")
		send("GET", "/api/2.0/mlflow-artifacts/artifacts/e/none"+n+"/artifacts/x", "", good, "localhost")
	}
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const warm, rounds, bound = 200, 2000, 2 << 20
	for i := range warm {
		round(i)
	}
	before := used()
	for i := range rounds {
		round(warm + i)
	}
	after := used()
	t.Logf("heap after %d requests %d KiB, after %d more %d KiB", 10*warm, before>>10, 10*rounds, after>>10)
	require.Less(t, after, before+bound)
}

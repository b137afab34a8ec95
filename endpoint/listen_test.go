package endpoint

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSlowClientsAreCutOff: who sends or takes nothing loses the connection, and the
// handler of an answer that nobody takes returns.
func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	const short = 300 * time.Millisecond
	const answer = 64 << 20 // more than any system keeps for a socket
	p := pace{header: short, body: 2 * short, idle: short, piece: short}
	returned := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/empty" {
			return
		}
		if r.URL.Path == "/long" { // longer than any time for reading
			select {
			case <-time.After(3 * short):
			case <-r.Context().Done():
			}
			returned <- r.Context().Err()
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		_, err := w.Write(make([]byte, answer))
		returned <- err
	})
	start := func(t *testing.T, p pace, tls bool) *httptest.Server {
		server := httptest.NewUnstartedServer(nil)
		server.Config = newServer(handler, p)
		server.Listener = pacing{server.Listener, p}
		if server.EnableHTTP2 = tls; tls {
			server.StartTLS()
		} else {
			server.Start()
		}
		t.Cleanup(server.Close)
		return server
	}
	plain := start(t, p, false)
	for name, sent := range map[string]string{
		"nothing":                       "",
		"half a header":                 "POST /score HTTP/1.1\r\nHost: x\r\n",
		"half a body":                   "POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
		"nothing after a request":       "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n",
		"half a header after a request": "GET /empty HTTP/1.1\r\nHost: x\r\n\r\nPOST /score HTTP/1.1\r\n",
		"half a body after a request":   "GET /empty HTTP/1.1\r\nHost: x\r\n\r\nPOST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
	} {
		t.Run(name, func(t *testing.T) {
			connection := dial(t, plain)
			_, err := io.WriteString(connection, sent)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, connection)
			require.NoError(t, err, "it is ended in order")
		})
	}
	t.Run("an answer that nobody takes", func(t *testing.T) {
		connection := dial(t, plain)
		_, err := io.WriteString(connection, "GET /score HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		require.ErrorContains(t, <-returned, "timeout")
	})
	t.Run("a second answer that nobody takes", func(t *testing.T) {
		connection := dial(t, plain)
		for _, path := range []string{"/empty", "/score"} {
			_, err := io.WriteString(connection, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(t, err)
			if path == "/empty" {
				_, err = http.ReadResponse(bufio.NewReaderSize(connection, 16), nil)
				require.NoError(t, err)
			}
		}
		require.ErrorContains(t, <-returned, "timeout")
	})
	t.Run("answers that take long", func(t *testing.T) {
		connection := dial(t, plain)
		in := bufio.NewReader(connection)
		for range 3 {
			_, err := io.WriteString(connection, "POST /long HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
			require.NoError(t, err)
			response, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.NoError(t, <-returned)
		}
		_, err := io.WriteString(connection, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		require.NoError(t, connection.Close())
		require.ErrorIs(t, <-returned, context.Canceled, "who leaves is noticed")
	})
	t.Run("a stream of HTTP/2 that nobody takes", func(t *testing.T) {
		server := start(t, pace{header: time.Minute, body: time.Minute, idle: time.Minute, piece: short}, true)
		ask := func(path string) *http.Response {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
			require.NoError(t, err)
			response, err := server.Client().Do(request)
			require.NoError(t, err)
			t.Cleanup(func() { _ = response.Body.Close() })
			require.Equal(t, 2, response.ProtoMajor)
			return response
		}
		ask("/score")
		require.Error(t, <-returned)
		require.Equal(t, http.StatusOK, ask("/empty").StatusCode, "the connection goes on")
	})
	t.Run("an answer that is taken", func(t *testing.T) {
		server := start(t, defaultPace(), false)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/score", nil)
		require.NoError(t, err)
		response, err := server.Client().Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		n, err := io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.EqualValues(t, answer, n)
		require.NoError(t, <-returned)
	})
}

func dial(t *testing.T, server *httptest.Server) net.Conn {
	t.Helper()
	connection, err := (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// TestAddedHeaders are in the answer that they were meant for, once, whatever it is like.
func TestAddedHeaders(t *testing.T) {
	t.Parallel()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		add, _ := r.Context().Value(testHeads{}).(*paced)
		add.AddHeader("X-One", "1 of "+r.URL.Path)
		add.AddHeader("X-Two", "2")
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Three", "3")
		if r.URL.Path == "/empty" {
			return
		}
		_, _ = io.WriteString(w, "first ")
		if r.URL.Path == "/pieces" {
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = w.Write(make([]byte, 64<<10))
	})
	server := httptest.NewUnstartedServer(nil)
	server.Config = newServer(handler, defaultPace())
	server.Config.ConnContext = func(ctx context.Context, connection net.Conn) context.Context {
		return context.WithValue(ctx, testHeads{}, connection)
	}
	server.Listener = pacing{server.Listener, defaultPace()}
	server.Start()
	t.Cleanup(server.Close)
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer connection.Close()
	in := bufio.NewReader(connection)
	for _, test := range []struct {
		path, head string
		body       int
	}{
		{"/whole", "", len("first ") + 64<<10},
		{"/pieces", "", len("first ") + 64<<10},
		{"/empty", "", 0},
		{"/whole", "Expect: 100-continue\r\nContent-Length: 4\r\n", len("first ") + 64<<10},
		{"/empty", "Connection: close\r\n", 0},
	} {
		_, err := io.WriteString(connection, "POST "+test.path+" HTTP/1.1\r\nHost: x\r\n"+test.head+"\r\n")
		require.NoError(t, err)
		if test.head != "" && test.body > 0 {
			line, err := in.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
			line, err = in.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, "\r\n", line)
			_, err = io.WriteString(connection, "body")
			require.NoError(t, err)
		}
		response, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Len(t, body, test.body)
		require.Equal(t, []string{"1 of " + test.path}, response.Header["X-One"])
		require.Equal(t, []string{"2"}, response.Header["X-Two"])
		require.Equal(t, []string{"3"}, response.Header["X-Three"])
	}
}

type testHeads struct{}

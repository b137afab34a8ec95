package web_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, url string, credentials backend.Credentials) *web.Store {
	t.Helper()
	connection := map[string]string{"url": url}
	if credentials["password"] != "" {
		connection["user"] = "ann"
	}
	opened, err := web.Driver{}.Open(t.Context(), backend.DatastoreSource{Type: web.Type, Connection: connection, Credentials: credentials})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened.(*web.Store)
}

func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

const content = "0123456789"

var modified = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// plain serves one file as Go's file server does.
func plain(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/data/in a/ü%2f.csv" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"v1"`)
	http.ServeContent(w, r, "", modified, strings.NewReader(content))
}

// noRanges serves the same by a server that knows neither ranges, HEAD nor the
// size.
func noRanges(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		http.Error(w, "no", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Last-Modified", modified.Format(http.TimeFormat))
	w.(http.Flusher).Flush() // in chunks, so no size
	_, _ = io.WriteString(w, content)
}

func read(t *testing.T, s *web.Store, path string, opts backend.GetOptions) (string, backend.Info) {
	t.Helper()
	object, err := s.Get(t.Context(), path, &opts)
	require.NoError(t, err, "%+v", opts)
	data, err := io.ReadAll(object.Body)
	require.NoError(t, err)
	require.NoError(t, object.Body.Close())
	return string(data), object.Info
}

func TestRanges(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		size    int64
	}{"with ranges": {plain, 10}, "without": {noRanges, -1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, serve(t, tt.handler).URL+"/data", nil)
			require.NoError(t, s.Check(t.Context()))
			const path = "in a/ü%2f.csv"
			for _, offset := range []int64{0, 1, 9, 10} {
				for _, length := range []int64{0, 1, 3, 100} {
					want := content[offset:]
					if length > 0 {
						want = want[:min(length, int64(len(want)))]
					}
					got, info := read(t, s, path, backend.GetOptions{Offset: offset, Length: length})
					require.Equal(t, want, got, "%d+%d", offset, length)
					require.Equal(t, tt.size, info.Size)
					require.Equal(t, modified, info.Modified)
					require.NotEmpty(t, info.ETag)
				}
			}
			info, err := s.Stat(t.Context(), path)
			require.NoError(t, err)
			_, opened := read(t, s, path, backend.GetOptions{})
			require.Equal(t, opened, info)
			_, err = s.Get(t.Context(), path, &backend.GetOptions{Offset: 11})
			require.ErrorIs(t, err, azml.ErrInvalid)
		})
	}
}

func TestWhatItCantDo(t *testing.T) {
	t.Parallel()
	s := open(t, serve(t, plain).URL, nil)
	_, err := s.Put(t.Context(), "x", bytes.NewReader(nil), &backend.PutOptions{})
	require.ErrorIs(t, err, azml.ErrUnsupported)
	require.ErrorIs(t, s.Delete(t.Context(), "x", nil), azml.ErrUnsupported)
	for _, err := range s.List(t.Context(), nil) {
		require.ErrorIs(t, err, azml.ErrUnsupported)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for status, class := range map[int]error{404: azml.ErrNotFound, 410: azml.ErrNotFound, 401: azml.ErrDenied, 403: azml.ErrDenied,
		400: azml.ErrInvalid, 503: azml.ErrUnavailable} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			s := open(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }).URL, nil)
			_, err := s.Get(t.Context(), "x", &backend.GetOptions{})
			require.ErrorIs(t, err, class)
			_, err = s.Stat(t.Context(), "x")
			require.ErrorIs(t, err, class)
			if class == azml.ErrDenied || class == azml.ErrUnavailable { //nolint:errorlint // the class itself
				require.ErrorIs(t, s.Check(t.Context()), class)
			}
		})
	}
}

func TestTriedAgain(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := open(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, content)
	}).URL, nil)
	got, _ := read(t, s, "x", backend.GetOptions{})
	require.Equal(t, content, got)
}

func TestPathsStayBelowTheURL(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := open(t, serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) }).URL+"/data/", nil)
	for _, path := range []string{"", "../x", "a/../../x", "/x", "a//b", "a/", "."} {
		_, err := s.Get(t.Context(), path, &backend.GetOptions{})
		require.ErrorIs(t, err, azml.ErrNotFound, "%q", path)
	}
	require.Zero(t, asked.Load())
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		credentials backend.Credentials
		header      string
	}{
		"basic":  {backend.Credentials{"password": "pw"}, "Basic YW5uOnB3"},
		"bearer": {backend.Credentials{"bearerToken": "tk"}, "Bearer tk"},
		"none":   {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, r.Header.Get("Authorization"))
			}).URL, tt.credentials)
			got, _ := read(t, s, "x", backend.GetOptions{})
			require.Equal(t, tt.header, got)
		})
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	private := serve(t, func(w http.ResponseWriter, _ *http.Request) { reached.Add(1) })
	s := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/here", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/private":
			http.Redirect(w, r, private.URL, http.StatusFound)
		case "/named":
			http.Redirect(w, r, strings.Replace(private.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
		case "/metadata":
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		default:
			_, _ = io.WriteString(w, content)
		}
	}).URL, nil)
	got, _ := read(t, s, "moved", backend.GetOptions{})
	require.Equal(t, content, got)
	_, err := s.Get(t.Context(), "loop", &backend.GetOptions{})
	require.ErrorIs(t, err, azml.ErrUnavailable)
	for _, path := range []string{"private", "named", "metadata"} {
		_, err := s.Get(t.Context(), path, &backend.GetOptions{})
		require.ErrorIs(t, err, azml.ErrDenied, path)
	}
	require.Zero(t, reached.Load())
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := open(t, serve(t, func(http.ResponseWriter, *http.Request) { <-release }).URL, nil)
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.Get(ctx, "x", &backend.GetOptions{})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestBadURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "x", "ftp://host/", "http://", "http://u:p@host/", "http://host/?sig=1", "http://host/#x", "http://a b/"} {
		_, err := web.Driver{}.Open(t.Context(), backend.DatastoreSource{Connection: map[string]string{"url": url}})
		require.ErrorIs(t, err, azml.ErrInvalid, "%q", url)
	}
}

package certificate_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/certificate"
	"github.com/azml-go/azml/internal/testenv"
)

// log is a log that a test reads while it is written.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) count(word string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), word)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, data, 0o600))
}

// answered tells whether a new connection of who trusts the pool alone is answered.
func answered(t *testing.T, url string, pool *x509.CertPool) bool {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := transport.RoundTrip(request)
	if err != nil {
		require.ErrorAs(t, err, new(x509.UnknownAuthorityError))
		return false
	}
	require.NoError(t, response.Body.Close())
	return true
}

// TestRenewedFiles: new connections get what the files have, one that is there already
// goes on, and files that have no pair change nothing and are told of once.
func TestRenewedFiles(t *testing.T) {
	t.Parallel()
	first, second, third := testenv.NewCertificate(t), testenv.NewCertificate(t), testenv.NewCertificate(t)
	dir := t.TempDir()
	files := certificate.Files{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	var said log
	_, err := files.Config(slog.New(slog.NewTextHandler(&said, nil)))
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, files.Certificate)

	copyFile(t, first.File, files.Certificate)
	copyFile(t, first.KeyFile, files.Key)
	config, err := files.Config(slog.New(slog.NewTextHandler(&said, nil)))
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{TLSConfig: config, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	url := "https://" + listener.Addr().String()
	require.True(t, answered(t, url, first.Pool))
	kept := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: first.Pool, MinVersion: tls.VersionTLS12}}}
	defer kept.CloseIdleConnections()
	ask := func() {
		response, err := kept.Get(url) //nolint:noctx // of this test's server
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
	}
	ask()

	becomes := func(pool *x509.CertPool) {
		t.Helper()
		require.Eventually(t, func() bool { return answered(t, url, pool) }, time.Minute, 50*time.Millisecond)
	}
	copyFile(t, second.File, files.Certificate) // its key is yet to come
	require.Eventually(t, func() bool { return answered(t, url, first.Pool) && said.count("can't be renewed") == 1 }, time.Minute, 50*time.Millisecond)
	copyFile(t, second.KeyFile, files.Key)
	becomes(second.Pool)
	require.False(t, answered(t, url, first.Pool))
	ask() // on the connection that it has

	require.NoError(t, os.Remove(files.Key))
	require.Eventually(t, func() bool { return answered(t, url, second.Pool) && said.count("can't be renewed") == 2 }, time.Minute, 50*time.Millisecond)
	require.NoError(t, os.Truncate(files.Certificate, 100))
	for looks := time.Now().Add(2500 * time.Millisecond); time.Now().Before(looks); time.Sleep(50 * time.Millisecond) {
		require.True(t, answered(t, url, second.Pool))
	}
	require.Equal(t, 2, said.count("can't be renewed"), "once, though it was looked at again")

	// Another folder takes its place at once, as Kubernetes does it with secrets.
	copyFile(t, third.File, filepath.Join(dir, "new.crt"))
	copyFile(t, third.KeyFile, filepath.Join(dir, "new.key"))
	require.NoError(t, os.Symlink("new.key", files.Key))
	require.NoError(t, os.Symlink("new.crt", filepath.Join(dir, "link")))
	require.NoError(t, os.Rename(filepath.Join(dir, "link"), files.Certificate))
	becomes(third.Pool)
	require.Equal(t, 2, said.count("was renewed"))
	require.Equal(t, 2, said.count("can't be renewed"))
}

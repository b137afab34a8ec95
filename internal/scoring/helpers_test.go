package scoring

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/internal/router"
	"github.com/azml-go/azml/internal/testenv"
)

// hostVariable makes the test binary host the script in the folder it names
// and print the worker's process id, so that a test can kill the host;
// hostPython names the interpreter, hostServer what runs the script.
const (
	hostServer   = "AZML_TEST_SCORING_SERVER"
	hostVariable = "AZML_TEST_SCORING_HOST"
	hostPython   = "AZML_TEST_SCORING_PYTHON"
)

func hostUntilKilled() {
	p, err := StartPython(context.Background(), PythonConfig{
		SourceDir: os.Getenv(hostVariable), EntryScript: "score.py", Log: os.Stdout, Python: os.Getenv(hostPython), Server: os.Getenv(hostServer),
	})
	if err != nil {
		fmt.Println("failed:", err)
		return
	}
	fmt.Println("pid", p.PID())
	_, _ = p.Score(context.Background(), &Request{Method: "POST", Body: []byte("x")})
	select {}
}

func TestMain(m *testing.M) {
	if os.Getenv(hostVariable) != "" {
		hostUntilKilled()
		return
	}
	goleak.VerifyTestMain(m)
}

// syncBuffer is a writer that several goroutines may share.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// writeScript puts a scoring script into a new folder.
func writeScript(t testing.TB, source string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "score.py"), []byte(source), 0o600))
	return dir
}

// needPython gives the machine's Python, past any shim, or skips the test.
func needPython(t testing.TB) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), testenv.Python(t), "-c", "import sys; print(sys.executable)").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// startScript hosts a script until the test ends.
func startScript(t testing.TB, source string, change func(*PythonConfig)) (*Python, *syncBuffer) {
	t.Helper()
	log := &syncBuffer{}
	cfg := PythonConfig{SourceDir: writeScript(t, source), EntryScript: "score.py", Log: log, Python: needPython(t)}
	if change != nil {
		change(&cfg)
	}
	p, err := StartPython(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, p.Close(ctx)) // again, when a deployment has closed it
	})
	return p, log
}

// options are those of a server and its one deployment together.
type options struct {
	Keys                         func() []string
	ScoringTimeout, MaxQueueWait time.Duration
	MaxBody                      int64
	CORSOrigins                  []string
	Requests                     io.Writer
	Logger                       *slog.Logger
	Name, Version, PathPrefix    string
	Schema                       *Schema
	SwaggerFiles                 fs.FS
	ServerVersion                string
	HideServerVersion            bool
	AtMostOnce                   bool
}

// deployment starts a deployment of replicas that are there. They are the
// caller's to close.
func (o *options) deployment(ctx context.Context, name string, replicas ...Scorer) (*Deployment, error) {
	next := make(chan Scorer, len(replicas))
	cfg := DeploymentConfig{Name: name, Scale: router.Scale{Min: len(replicas), Max: len(replicas)}, ScoringTimeout: o.ScoringTimeout,
		MaxQueueWait: o.MaxQueueWait, Service: o.Name, Version: o.Version, PathPrefix: o.PathPrefix, Schema: o.Schema,
		SwaggerFiles: o.SwaggerFiles, Logger: o.Logger, AtMostOnce: o.AtMostOnce,
		Start: func(context.Context) (Scorer, error) { return <-next, nil }}
	for _, r := range replicas {
		if _, ok := r.(router.Together); ok {
			cfg.MaxConcurrent = 1
		}
		next <- r
	}
	return StartDeployment(ctx, cfg)
}

// server makes a server without deployments.
func (o *options) server() *Server {
	cfg := Config{ServerVersion: o.ServerVersion, HideServerVersion: o.HideServerVersion, Logger: o.Logger, Requests: o.Requests}
	if o.Keys != nil {
		cfg.Authorize = func(key string) bool { return slices.Contains(o.Keys(), key) }
	}
	s := NewServer(cfg)
	s.SetLimits(Limits{MaxBody: o.MaxBody, CORSOrigins: o.CORSOrigins})
	return s
}

// service is a server on loopback with one deployment and its client.
type service struct {
	*httptest.Server
	scoring    *Server
	deployment *Deployment
	requests   *syncBuffer
}

func serve(t testing.TB, o options, replicas ...Scorer) *service {
	t.Helper()
	requests := &syncBuffer{}
	if o.Requests == nil {
		o.Requests = requests
	}
	s := o.server()
	d, err := o.deployment(t.Context(), "main", replicas...)
	require.NoError(t, err)
	require.NoError(t, s.SetRoutes([]router.Route[*Deployment]{{Name: "main", To: d, Percent: 100}}))
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		web.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Shutdown()
		require.NoError(t, d.Close(ctx))
	})
	return &service{Server: web, scoring: s, deployment: d, requests: requests}
}

// answer is a response read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends one request; headers are given as "Name: value".
func (s *service) ask(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := s.client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// client gives the server's own client, or a plain one for a server that runs
// elsewhere; connections are closed by the server that made them.
func (s *service) client() *http.Client {
	if c := s.Client(); c != nil {
		return c
	}
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// dig follows keys into a JSON value, nil where they end.
func dig(v any, keys ...any) any {
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key.(string)]
	}
	return v
}

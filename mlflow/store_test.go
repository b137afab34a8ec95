package mlflow_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	handler "github.com/azml-go/azml/internal/mlflow"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/workspace"
)

// python runs MLflow's own client in the folder.
func python(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	script, err := filepath.Abs("testdata/store.py")
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), testenv.MLflow(t), append([]string{script}, args...)...)
	cmd.Dir = dir
	cmd.Env = environment(dir)
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	require.NoError(t, err, "%s", errors.String())
	return out
}

func environment(dir string) []string {
	return append(os.Environ(), "MLFLOW_ALLOW_FILE_STORE=true", "MLFLOW_DISABLE_TELEMETRY=true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES=2", "HOME="+dir,
		"MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false") // which is four more processes, for nothing that is carried over
}

// The kinds of stores that MLflow has.
const (
	kindDatabase = "database"
	kindFolder   = "folder"
	kindServer   = "server"
)

// store is a store of MLflow with what its own client has made in it. Tests
// only read it.
type store struct {
	dir  string // where it and, of a database, the artifacts are
	uri  string
	dump dump // what the client finds in it
}

// maker makes a store once.
type maker struct {
	mu    sync.Mutex
	tried bool
	store store
}

var makers = map[string]*maker{kindDatabase: {}, kindFolder: {}, kindServer: {}}

// storeOf gives the store of that kind.
func storeOf(t testing.TB, kind string) store {
	t.Helper()
	testenv.MLflow(t)
	m := makers[kind]
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.tried {
		m.tried = true
		m.store = makeStore(t, kind)
	}
	require.NotEmpty(t, m.store.uri, "it could not be made")
	return m.store
}

func makeStore(t testing.TB, kind string) store {
	dir, err := os.MkdirTemp("", "azml-mlflow-") //nolint:usetesting // it outlives the test that makes it
	require.NoError(t, err)
	atEnd(func() { _ = os.RemoveAll(dir) })
	s := store{dir: dir, uri: "sqlite:///mlflow.db"}
	switch kind {
	case kindFolder:
		s.uri = filepath.Join(dir, "mlruns")
	case kindServer:
		url, stop := startServer(t, dir)
		atEnd(stop)
		s.uri = url
	}
	s.dump = lastLine(t, python(t, dir, "make", s.uri))
	if kind == kindDatabase {
		s.uri = "sqlite:///" + filepath.Join(dir, "mlflow.db")
	}
	return s
}

var (
	endMu sync.Mutex
	ends  []func()
)

// atEnd has something done when all tests have ended.
func atEnd(do func()) {
	endMu.Lock()
	defer endMu.Unlock()
	ends = append(ends, do)
}

// startServer starts MLflow's server on a database in the folder.
func startServer(t testing.TB, dir string) (url string, stop func()) {
	t.Helper()
	port := testenv.FreePort(t)
	cmd := exec.Command(testenv.MLflow(t), "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", filepath.Join(dir, "kept"),
		"--host", "127.0.0.1", "--port", strconv.Itoa(port), "--workers", "1")
	cmd.Dir = dir
	cmd.Env = environment(dir)
	ownGroup(cmd)
	log, err := os.Create(filepath.Join(dir, "server.log"))
	require.NoError(t, err)
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	stop = func() {
		killGroup(cmd)
		_ = cmd.Wait()
	}
	url = "http://127.0.0.1:" + strconv.Itoa(port)
	const patience = 5 * time.Minute
	if !assert.Eventually(t, func() bool { return answers(url + "/health") }, patience, 100*time.Millisecond, "see %s", log.Name()) {
		stop()
		t.FailNow()
	}
	return url, stop
}

func answers(url string) bool {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// served serves the workspace to MLflow's client, and gives the URL.
func served(t testing.TB, ws *workspace.Workspace) string {
	t.Helper()
	h, err := handler.New(workspace.Handle(ws), nil)
	require.NoError(t, err)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// dump is what MLflow's client finds in a store.
type dump struct {
	Experiments map[string]object `json:"experiments"`
	Runs        map[string]object `json:"runs"`
	Models      map[string]object `json:"models"`
	Logged      map[string]object `json:"logged"`
}

type object = map[string]any

func dumpOf(t testing.TB, uri string) dump {
	t.Helper()
	return lastLine(t, python(t, t.TempDir(), "dump", uri))
}

// lastLine reads a dump that comes after what the client says by itself.
func lastLine(t testing.TB, out []byte) dump {
	t.Helper()
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	var d dump
	require.NoError(t, json.Unmarshal(lines[len(lines)-1], &d))
	return d
}

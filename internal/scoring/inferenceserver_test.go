//go:build unix

package scoring

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/testenv"
)

// startServed hosts a script by the real package until the test ends.
func startServed(t testing.TB, source string) (*Python, *syncBuffer) {
	t.Helper()
	python := testenv.InferenceServer(t)
	return startScript(t, source, func(c *PythonConfig) { c.Python, c.Server = python, InferenceServer })
}

// TestInferenceServerAnswersAsAlone sends the requests of the contract to a deployment
// that the real package serves, and to the real package alone.
func TestInferenceServerAnswersAsAlone(t *testing.T) {
	for _, table := range realTables {
		t.Run(table.name, func(t *testing.T) {
			alone := startReal(t, testenv.InferenceServer(t), table.script)
			p, _ := startServed(t, table.script)
			ours := serve(t, options{ScoringTimeout: time.Hour}, p)
			cases := slices.DeleteFunc(slices.Clone(table.cases), func(c contractCase) bool { return c.status == http.StatusGatewayTimeout })
			runCases(t, cases, ours.ask)
			for _, c := range cases {
				if path, _, _ := strings.Cut(c.path, "?"); path != "/score" || !slices.Contains([]string{"GET", "POST", "OPTIONS"}, c.method) || c.status == http.StatusRequestHeaderFieldsTooLarge {
					continue // those our server answers
				}
				want, got := alone.ask(t, c.method, c.path, c.body, c.headers...), ours.ask(t, c.method, c.path, c.body, c.headers...)
				require.Equal(t, want.status, got.status, c.name)
				require.Equal(t, want.body, got.body, c.name)
				for _, name := range []string{"Content-Type", "X-Made", "Server", headerRunFailed} {
					require.Equal(t, want.header.Values(name), got.header.Values(name), "%s: %s", c.name, name)
				}
			}
			require.Zero(t, p.Restarts())
		})
	}
}

// TestInferenceServerStartFailures: what the server says of a script that can't serve.
func TestInferenceServerStartFailures(t *testing.T) {
	t.Parallel()
	real := testenv.InferenceServer(t)
	for _, c := range []struct{ name, python, script, phase, exception, line string }{
		{"raises on import", real, "raise RuntimeError('broken')\n", PhaseImport, "RuntimeError: broken", "broken"},
		{"no run", real, "def init(): pass\n", PhaseImport, "run()", ""},
		{"init raises", real, "def init():\n  print('last words')\n  raise ValueError('no weights')\ndef run(d): pass\n", PhaseInit, "ValueError: no weights", "last words"},
		{"init exits", real, "import os\ndef init(): os._exit(9)\ndef run(d): pass\n", PhaseInit, "", "code 9"},
		{"no package", needPython(t), plainScript, PhaseStart, "add azureml-inference-server-http to the environment", "ModuleNotFoundError"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := StartPython(t.Context(), PythonConfig{SourceDir: writeScript(t, c.script), EntryScript: "score.py", Python: c.python, Server: InferenceServer})
			require.ErrorIs(t, err, azml.ErrInvalid)
			e, ok := errors.AsType[*StartError](err)
			require.True(t, ok)
			require.Equal(t, c.phase, e.Phase, err)
			require.Contains(t, e.Exception, c.exception)
			require.Contains(t, strings.Join(e.LastLines, "\n"), c.line)
			require.Equal(t, 3, e.ExitCode)
		})
	}
}

// TestInferenceServerIsStartedAgain, whichever of its processes ends, and for a call
// that takes too long.
func TestInferenceServerIsStartedAgain(t *testing.T) {
	t.Parallel()
	p, log := startServed(t, `
import os, time
def init(): print("init was called")
def run(data):
    if data == "exit": os._exit(7)
    if data == "sleep": time.sleep(3600)
    return {"root": os.environ["AML_APP_ROOT"], "pid": os.getpid()}
`)
	ask := func(ctx context.Context, body string) (*Response, error) {
		return p.Score(ctx, &Request{Method: "POST", Path: "/score", Host: "h", Body: []byte(body), ID: newID()})
	}
	var seen struct {
		Root string
		PID  int
	}
	for i, end := range []func(){
		func() { require.NoError(t, syscall.Kill(p.PID(), syscall.SIGKILL)) },
		func() {
			_, err := ask(t.Context(), "exit")
			require.ErrorIs(t, err, errWorkerDied)
		},
		func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, err := ask(ctx, "sleep")
			require.ErrorIs(t, err, context.DeadlineExceeded)
		},
	} {
		end()
		require.Eventually(t, func() bool { return p.Restarts() == i+1 && p.Ready() == nil }, time.Minute, 10*time.Millisecond)
		resp, err := ask(t.Context(), "well")
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(resp.Body, &seen))
		require.Equal(t, p.cfg.AppRoot, seen.Root)
		require.Positive(t, resp.Elapsed)
	}
	require.Regexp(t, `(?m)^\S+ \S+ I \[\d+\] azmlinfsrv\.print - init was called$`, log.String(), "lines have one beginning")
	require.NotContains(t, log.String(), "Control socket", "it would be one for all servers of the user")
	require.NoError(t, p.Close(t.Context()))
	require.Eventually(t, func() bool { return gone(seen.PID) }, time.Minute, 10*time.Millisecond, "the process that runs the script ends, too")
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
)

// needsProcesses skips where local compute does not work.
func needsProcesses(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("local compute needs Linux or macOS")
	}
	if testing.Short() {
		t.Skip("starts processes; left out in short mode")
	}
}

// status gives the run's status.
func (s *shell) status(t *testing.T, id string) run.Status {
	t.Helper()
	var d run.Details
	s.json(t, &d, "run", "show", id)
	return d.Status
}

func TestInterruptCancelsTheRun(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	s := setup(t)
	cmd := s.command(t, "run", "submit", "-e", "exp", "-s", t.TempDir(), "--run-id", "long", "--command", "--",
		"sh", "-c", "trap 'echo asked to end; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	out := bufio.NewReader(pipe)
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	rest, err := io.ReadAll(out)
	require.NoError(t, err)
	exit := &exec.ExitError{}
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, exitCanceled, exit.ExitCode(), stderr.String())
	require.Contains(t, string(rest), "asked to end\n", "what the script says at its end is shown")
	require.Contains(t, stderr.String(), "Run long\n")
	require.Contains(t, stderr.String(), "Canceled after")
	require.Equal(t, run.StatusCanceled, s.status(t, "long"))
}

func TestSecondInterruptLeavesAtOnce(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	s := setup(t)
	cmd := s.command(t, "run", "submit", "-e", "exp", "-s", t.TempDir(), "--run-id", "deaf", "--command", "--",
		"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	errPipe, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = bufio.NewReader(pipe).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	lines := bufio.NewScanner(errPipe)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "Canceling") {
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	for lines.Scan() {
	}
	exit := &exec.ExitError{}
	require.ErrorAs(t, cmd.Wait(), &exit)
	require.Equal(t, exitCanceled, exit.ExitCode())
	// Whoever looks at the run next ends it with the script that goes on.
	require.Eventually(t, func() bool { return s.status(t, "deaf").Terminal() }, 30*time.Second, 100*time.Millisecond)
}

func TestDetachedRun(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	s := setup(t)
	go1 := filepath.Join(t.TempDir(), "go")
	cmd := s.command(t, "run", "submit", "--detach", "-e", "exp", "-s", t.TempDir(), "--command", "--",
		"sh", "-c", `while ! [ -e "$0" ]; do sleep 0.05; done; echo done`, go1)
	out, err := cmd.Output()
	require.NoError(t, err)
	id := strings.TrimSpace(string(out))
	require.True(t, strings.HasPrefix(id, "exp_"), id)
	require.False(t, s.status(t, id).Terminal(), "it goes on without the command that started it")
	write(t, filepath.Dir(go1), "go", "")
	require.Equal(t, "done", s.ok(t, "run", "logs", id, "--follow"))
	require.Eventually(t, func() bool { return s.status(t, id) == run.StatusCompleted }, 30*time.Second, 50*time.Millisecond)

	failing := s.command(t, "run", "submit", "-d", "-e", "exp", "-s", t.TempDir(), "nope.py")
	var stderr bytes.Buffer
	failing.Stderr = &stderr
	exit := &exec.ExitError{}
	require.ErrorAs(t, failing.Run(), &exit)
	require.Equal(t, exitError, exit.ExitCode())
	require.Contains(t, stderr.String(), `azml: submit run to experiment "exp": not found: script "nope.py"`)
}

const scoring = `
import json, os
def init():
    global weights
    folder = os.environ["AZUREML_MODEL_DIR"]
    weights = json.load(open(os.path.join(folder, "m.json")))
    print("loaded", flush=True)
def run(data):
    return {"sum": json.loads(data) + weights["bias"] + int(os.environ["EXTRA"])}
`

func TestEndpointOfAProcess(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	testenv.Python(t)
	s := setup(t)
	src := t.TempDir()
	write(t, src, "score.py", scoring)
	s.ok(t, "model", "register", "--name", "m", "--path", write(t, t.TempDir(), "m.json", `{"bias": 2}`))
	deploy := func(args ...string) outcome {
		cmd := s.command(t, append([]string{"endpoint", "deploy", "adder", "--model", "m", "-s", src, "--entry-script", "score.py", "--env", "EXTRA=100"}, args...)...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			exit := &exec.ExitError{}
			require.ErrorAs(t, err, &exit)
		}
		return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	}
	t.Cleanup(func() { // a failed test leaves no process behind, and the last one may still be on its way out
		a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
		a.run(context.Background(), []string{"-w", s.dir, "endpoint", "delete", "adder"})
		require.Eventually(t, func() bool { return os.RemoveAll(s.dir) == nil }, 10*time.Second, 10*time.Millisecond)
	})
	s.ok(t, "endpoint", "create", "adder", "--description", "adds", "--tag", "team=risk")
	require.Contains(t, s.fails(t, exitError, "endpoint", "create", "adder"), "already exists")
	require.Contains(t, s.fails(t, exitError, "endpoint", "invoke", "adder", "--data", "1"), "not served")
	first := deploy()
	require.Zero(t, first.code, first.stderr)
	require.Contains(t, first.stdout, "adder is Healthy at http://127.0.0.1:")
	require.JSONEq(t, `{"sum": 142}`, s.ok(t, "endpoint", "invoke", "adder", "--data", "40"))
	require.JSONEq(t, `{"sum": 103}`, call(t, "1", "-w", s.dir, "endpoint", "invoke", "adder").stdout)
	require.JSONEq(t, `{"sum": 107}`, s.ok(t, "endpoint", "invoke", "adder", "--file", write(t, t.TempDir(), "r.json", "5")))
	require.Contains(t, s.fails(t, exitError, "endpoint", "invoke", "adder", "--data", `"x"`), "500")
	require.Eventually(t, func() bool { return strings.Contains(s.call(t, "endpoint", "logs", "adder").stdout, "loaded") }, 10*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		return strings.Contains(s.call(t, "endpoint", "logs", "adder", "--requests").stdout, `"path":"/score","status":500,`)
	}, 30*time.Second, 50*time.Millisecond)
	require.Contains(t, s.fails(t, exitError, "model", "delete", "m:1"), "adder")

	again := deploy()
	require.Equal(t, exitError, again.code)
	require.Contains(t, again.stderr, "--overwrite")
	require.Zero(t, deploy("--overwrite").code)
	require.JSONEq(t, `{"sum": 142}`, s.ok(t, "endpoint", "invoke", "adder", "--data", "40"))

	var d endpoint.Details
	s.json(t, &d, "endpoint", "show", "adder")
	require.Equal(t, endpoint.StateHealthy, d.State)
	require.Equal(t, []string{"m:1"}, d.Models)
	checkKeys(t, s, d.ScoringURI)

	checkGreen(t, s, src)
	s.ok(t, "endpoint", "stop", "adder")
	require.Contains(t, s.ok(t, "endpoint", "list"), "Stopped")
	s.fails(t, exitError, "endpoint", "invoke", "adder", "--data", "1")
	s.ok(t, "endpoint", "delete", "adder")
	require.Equal(t, "[]", s.ok(t, "endpoint", "list", "-o", "json"))
}

// checkGreen deploys another version beside the one that is served by a process
// in the background, switches to it and back, and has one fail.
func checkGreen(t *testing.T, s *shell, src string) {
	t.Helper()
	sample := write(t, t.TempDir(), "sample.json", "1")
	green := []string{"endpoint", "deploy", "adder", "--deployment", "green", "--traffic", "100", "--model", "m", "-s", src,
		"--entry-script", "score.py", "--env", "EXTRA=200", "--sample", sample}
	require.Contains(t, s.ok(t, green...), "Traffic:  green 100 %, main 0 %")
	require.JSONEq(t, `{"sum": 242}`, s.ok(t, "endpoint", "invoke", "adder", "--data", "40"))
	require.JSONEq(t, `{"sum": 142}`, s.ok(t, "endpoint", "invoke", "adder", "--data", "40", "--deployment", "main"))
	require.Regexp(t, `main +ok .*143`, s.ok(t, "endpoint", "test", "adder", "--data", "41"))
	s.fails(t, exitError, "endpoint", "test", "adder", "--data", `"x"`)
	require.Contains(t, s.ok(t, "endpoint", "traffic", "adder", "main=50", "green=50", "--mirror", "none"), "50 %")
	s.ok(t, "endpoint", "rollback", "adder", "--to", "3")
	require.Eventually(t, func() bool { return strings.Contains(s.ok(t, "endpoint", "invoke", "adder", "--data", "40"), "242") }, 10*time.Second, 50*time.Millisecond)
	require.Contains(t, s.ok(t, "endpoint", "rollback", "adder", "--list"), "rollback to revision")
	require.Contains(t, s.ok(t, "endpoint", "metrics", "adder"), "green")
	write(t, src, "broken.py", "def init():\n    raise RuntimeError('no weights here')\ndef run(data): pass\n")
	said := s.fails(t, exitError, "endpoint", "deploy", "adder", "--deployment", "other", "-s", src, "--entry-script", "score.py", "--server", "flask")
	require.Contains(t, said, "azureml-inference-server-http")
	said = s.fails(t, exitError, "endpoint", "deploy", "adder", "--deployment", "broken", "-s", src, "--entry-script", "broken.py")
	require.Contains(t, said, "phase init")
	require.Contains(t, said, "no weights here")
	s.ok(t, "endpoint", "traffic", "adder", "main=100")
	s.ok(t, "endpoint", "delete", "adder", "--deployment", "green")
	require.Contains(t, s.ok(t, "endpoint", "show", "adder"), "main")
}

// checkKeys replaces a key of the endpoint and tries both.
func checkKeys(t *testing.T, s *shell, url string) {
	t.Helper()
	var keys keysView
	s.json(t, &keys, "endpoint", "keys", "adder")
	require.Equal(t, keysView{"REDACTED", "REDACTED"}, keys)
	old := s.ok(t, "endpoint", "keys", "adder", "--show=secondary")
	s.ok(t, "endpoint", "keys", "adder", "--regenerate", "secondary")
	s.json(t, &keys, "endpoint", "keys", "adder", "--show")
	require.NotEqual(t, old, keys.Secondary)
	for key, want := range map[string]int{old: http.StatusUnauthorized, keys.Primary: http.StatusOK, keys.Secondary: http.StatusOK} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("1"))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+key)
		req.Close = true
		answer, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, want, answer.StatusCode)
	}
}

func TestEndpointThatFailsToStart(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	testenv.Python(t)
	s := setup(t)
	src := t.TempDir()
	write(t, src, "score.py", "def init():\n    raise RuntimeError('no weights here')\ndef run(data): pass\n")
	cmd := s.command(t, "endpoint", "deploy", "broken", "-s", src, "--entry-script", "score.py")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.Error(t, cmd.Run())
	require.True(t, strings.HasPrefix(stderr.String(), `azml: serve endpoint "broken": failed`), stderr.String())
	require.Contains(t, stderr.String(), "no weights here")
	require.Contains(t, s.ok(t, "endpoint", "list"), "Failed")
}

func TestForegroundEndpointStopsWithCtrlC(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	testenv.Python(t)
	s := setup(t)
	src := t.TempDir()
	write(t, src, "score.py", "def init(): pass\ndef run(data): return data\n")
	cmd := s.command(t, "endpoint", "deploy", "front", "-s", src, "--entry-script", "score.py", "--foreground", "--auth", "none")
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	out := bufio.NewReader(pipe)
	line, err := out.ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "front is Healthy at")
	require.JSONEq(t, `"1"`, s.ok(t, "endpoint", "invoke", "front", "--data", "1"))
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	_, err = io.ReadAll(out)
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	require.Contains(t, s.ok(t, "endpoint", "list"), "Stopped")
}

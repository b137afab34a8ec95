package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/internal/testenv"
)

// asCommand is the variable that makes the test's program behave as azml, for
// tests with real processes.
const asCommand = "AZML_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	home, err := os.MkdirTemp("", "azml-cli-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(home)
	must(testenv.KeepCache())
	for _, name := range []string{"XDG_CACHE_HOME", "XDG_CONFIG_HOME"} {
		must(os.Setenv(name, filepath.Join(home, name)))
	}
	must(os.Unsetenv(workspaceVariable))
	must(os.Setenv("LC_ALL", "C.UTF-8")) // charts are drawn in Unicode
	if code := m.Run(); code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// shell is a workspace with calls of azml in this process.
type shell struct{ dir string }

// setup creates a workspace.
func setup(t *testing.T) *shell {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { // a detached agent writes a little after its run has ended
		require.Eventually(t, func() bool { return os.RemoveAll(dir) == nil }, time.Minute, 50*time.Millisecond)
	})
	s := &shell{filepath.Join(dir, "ws")}
	s.ok(t, "init", s.dir, "--no-config")
	return s
}

// outcome is what a call gave.
type outcome struct {
	code           int
	stdout, stderr string
}

func call(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr}
	code := a.run(t.Context(), args)
	return outcome{code, stdout.String(), stderr.String()}
}

func (s *shell) call(t *testing.T, args ...string) outcome {
	t.Helper()
	return call(t, "", append([]string{"-w", s.dir}, args...)...)
}

// ok expects success and gives the standard output without the last line end.
func (s *shell) ok(t *testing.T, args ...string) string {
	t.Helper()
	got := s.call(t, args...)
	require.Zero(t, got.code, "%q: %s", args, got.stderr)
	return strings.TrimSuffix(got.stdout, "\n")
}

// json expects success and reads the output.
func (s *shell) json(t *testing.T, into any, args ...string) {
	t.Helper()
	text := s.ok(t, append(args, "-o", "json")...)
	require.NoError(t, json.Unmarshal([]byte(text), into), "%q gave %s", args, text)
}

// fails expects an exit code and gives the standard error.
func (s *shell) fails(t *testing.T, code int, args ...string) string {
	t.Helper()
	got := s.call(t, args...)
	require.Equal(t, code, got.code, "%q: %s%s", args, got.stdout, got.stderr)
	require.True(t, strings.HasPrefix(got.stderr, "azml: ") || strings.Contains(got.stderr, "\nazml: "), got.stderr)
	return got.stderr
}

// submit runs a line of the shell sh as a run of the experiment "exp" and gives
// the run's ID.
func (s *shell) submit(t *testing.T, line string, flags ...string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("local compute needs Linux or macOS")
	}
	var d struct {
		RunID string `json:"runId"`
	}
	args := append([]string{"run", "submit", "-e", "exp", "-s", t.TempDir(), "--command", "-o", "json"}, flags...)
	text := s.ok(t, append(args, "--", "sh", "-c", line)...)
	require.NoError(t, json.Unmarshal([]byte(text), &d), text)
	return d.RunID
}

// write writes a file of a temporary folder and gives its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// command gives azml as a process of its own.
func (s *shell) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, append([]string{"-w", s.dir}, args...)...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

// TestMLflowClient runs MLflow's own client against `azml server`: the whole
// package, and the small one alone, which has no flavors.
func TestMLflowClient(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs MLflow's client for a minute: left out in short mode")
	}
	needsProcesses(t)
	t.Run("whole", func(t *testing.T) {
		t.Parallel()
		checkClient(t, testenv.MLflow(t), 400)
	})
	t.Run("skinny", func(t *testing.T) {
		t.Parallel()
		checkClient(t, testenv.MLflowSkinny(t), 300, "experiments", "runs", "logging", "batches", "inputs", "artifacts", "artifacts_in_parts", "fluent", "asynchronous", "command_line",
			"registry", "search", "search_datasets", "statuses")
	})
}

// checkClient makes the checks of the sections, all if none is named. There must
// be that many at least: a script that ends early has not passed.
func checkClient(t *testing.T, python string, least int, sections ...string) {
	t.Helper()
	url := serveProcess(t, setup(t))
	script, err := filepath.Abs("../../internal/mlflow/testdata/checks")
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), python, append([]string{script, url}, sections...)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "MLFLOW_HTTP_REQUEST_MAX_RETRIES=2", "MLFLOW_DISABLE_TELEMETRY=true", "HOME="+cmd.Dir, "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
	sum := regexp.MustCompile(`(\d+) checks, 0 failed, mlflow`).FindSubmatch(out)
	require.NotNil(t, sum)
	made, err := strconv.Atoi(string(sum[1]))
	require.NoError(t, err)
	require.GreaterOrEqual(t, made, least)
}

// serveProcess starts `azml server`, which ends with the test, and gives its URL.
func serveProcess(t *testing.T, s *shell) string {
	t.Helper()
	cmd := s.command(t, "server", "--listen", "127.0.0.1:0", "-o", "json")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) } // when the test has ended
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		err := cmd.Wait()
		require.True(t, cmd.ProcessState.Success(), "the server ends in order: %v", err)
	})
	var v serverView
	require.NoError(t, json.NewDecoder(out).Decode(&v))
	return v.URL
}

package mlflow

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

// leastChecks is how many checks the script makes at least: one that ends early
// has not passed.
const leastChecks = 400

// TestClient runs MLflow's own client against the handler.
func TestClient(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs MLflow's client for half a minute: left out in short mode")
	}
	python := testenv.MLflow(t)
	s := serve(t, nil)
	script, err := filepath.Abs("testdata/checks.py")
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), python, script, s.url)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "MLFLOW_HTTP_REQUEST_MAX_RETRIES=2", "MLFLOW_DISABLE_TELEMETRY=true", "HOME="+cmd.Dir)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
	sum := regexp.MustCompile(`(\d+) checks, 0 failed, mlflow`).FindSubmatch(out)
	require.NotNil(t, sum)
	made, err := strconv.Atoi(string(sum[1]))
	require.NoError(t, err)
	require.GreaterOrEqual(t, made, leastChecks)
}

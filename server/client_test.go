package server

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/token"
)

// TestClient runs MLflow's own client with tokens of all roles.
func TestClient(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs MLflow's client: left out in short mode")
	}
	python := testenv.MLflow(t)
	s := serve(t, nil, nil)
	gone, revoked, err := s.ws.Tokens().Create(t.Context(), "gone", token.RoleOwner, &token.CreateOptions{Life: time.Hour})
	require.NoError(t, err)
	_, err = s.ws.Tokens().Revoke(t.Context(), gone.ID(), nil)
	require.NoError(t, err)
	script, err := filepath.Abs("testdata/access.py")
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), python, script, "http://"+s.addr,
		s.token(token.RoleReader), s.token(token.RoleContributor), s.token(token.RoleOwner), string(revoked))
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "MLFLOW_HTTP_REQUEST_MAX_RETRIES=1", "MLFLOW_DISABLE_TELEMETRY=true", "HOME="+cmd.Dir)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^24 checks, 0 failed, mlflow \d`, string(out))
}

// TestJavaClient runs MLflow's own client for Java with a token. What it does with
// artifacts, it does by the Python client's command line.
func TestJavaClient(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs MLflow's client for Java: left out in short mode")
	}
	java, classPath := testenv.MLflowJava(t)
	python := testenv.MLflow(t)
	s := serve(t, nil, nil)
	program, err := filepath.Abs("testdata/Checks.java")
	require.NoError(t, err)
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), java, "-cp", classPath, program, dir)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MLFLOW_TRACKING_URI=http://"+s.addr, "MLFLOW_TRACKING_TOKEN="+s.token(token.RoleOwner),
		"MLFLOW_DISABLE_TELEMETRY=true", "HOME="+dir, "PATH="+filepath.Dir(python)+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^\d+ checks, 0 failed$`, string(out))
}

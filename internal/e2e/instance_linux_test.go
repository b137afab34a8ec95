package e2e

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/workspace"
)

// notebook executes code in a new kernel, as a notebook does.
func notebook(t *testing.T, python, link, code string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "kernel.py"), link)
	cmd.Stdin = strings.NewReader(code)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Run(), "%s%s", &out, &errs)
	return out.String()
}

// instance makes a compute instance that ends with the test.
func instance(t *testing.T, ws *workspace.Workspace, idle time.Duration) *compute.Target {
	t.Helper()
	var log bytes.Buffer
	config := docker.InstanceConfig{Config: docker.Config{Host: testenv.Docker(t).Host, Image: testenv.DockerImage, BuildNetwork: "host", Network: "host"}, IdleShutdown: idle}
	made, err := ws.Compute().Create(t.Context(), "desk", config, &compute.CreateOptions{Log: &log})
	t.Cleanup(func() {
		if err := ws.Compute().Delete(context.Background(), "desk", nil); !errors.Is(err, azml.ErrNotFound) {
			require.NoError(t, err)
		}
	})
	require.NoError(t, err, log.String())
	return made
}

func stateOf(t *testing.T, target *compute.Target) compute.Instance {
	t.Helper()
	s, err := target.Instance(t.Context(), nil)
	require.NoError(t, err)
	return s
}

// TestInstance has a compute instance do all that one is for.
func TestInstance(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes an image with JupyterLab")
	}
	t.Parallel()
	python := testenv.Venv(t, "websocket", "websocket-client==1.8.0")
	testenv.Docker(t) // to outlive the workspace
	p := newPlace(t)
	ws := p.openFor(t)
	desk := instance(t, ws, 0)
	s := stateOf(t, desk)
	require.Equal(t, compute.InstanceRunning, s.State, s.Reason)
	require.Equal(t, compute.Operation{Name: compute.OperationCreate, Status: compute.OperationSucceeded, Trigger: compute.TriggerUser, Time: s.LastOperation.Time}, s.LastOperation)
	link, err := desk.NotebookURL(t.Context(), nil)
	require.NoError(t, err)
	token := strings.SplitAfter(link, "token=")[1]
	shown, err := exec.Command("docker", "-H", testenv.Docker(t).Host, "inspect", "azml-instance-"+desk.Details().Connection["id"]).Output()
	require.NoError(t, err)
	require.NotContains(t, string(shown), token)
	answer, err := http.Get(s.URL + "api/kernels") //nolint:noctx // of this machine
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusForbidden, answer.StatusCode, "nobody gets in without the token")

	require.Contains(t, notebook(t, python, link, `
import mlflow
mlflow.set_experiment("notebook")
with mlflow.start_run():
    mlflow.log_metric("score", 0.5)
open("kept.txt", "w").write("kept")
print("logged")`), "\nlogged\n")
	runs := 0
	for r, err := range ws.Runs().List(t.Context(), nil) {
		require.NoError(t, err)
		require.Equal(t, "notebook", r.ExperimentName())
		summaries, err := r.Summaries(t.Context())
		require.NoError(t, err)
		require.InDelta(t, 0.5, summaries["score"].Max, 0)
		runs++
	}
	require.Equal(t, 1, runs)

	r := target{compute: "desk"}.begin(t, ws, `(cd /home/azml && cat kept.txt); echo '{"name": "loss", "value": 0.5}' >> "$AZML_METRICS_FILE"`, nil)
	require.NoError(t, r.Wait(t.Context(), nil))
	require.Equal(t, "kept", outputOf(t, r))

	require.NoError(t, desk.Stop(t.Context(), nil))
	require.NoError(t, desk.Stop(t.Context(), nil), "it is stopped")
	s = stateOf(t, desk)
	require.Equal(t, compute.InstanceStopped, s.State)
	require.Empty(t, s.URL)
	_, err = desk.NotebookURL(t.Context(), nil)
	require.ErrorIs(t, err, azml.ErrConflict)
	require.NoError(t, desk.Start(t.Context(), nil))
	require.NoError(t, desk.Restart(t.Context(), nil))
	require.NoError(t, desk.Start(t.Context(), nil), "it runs")
	link, err = desk.NotebookURL(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, "kept\n", notebook(t, python, link, `print(open("kept.txt").read())`))

	require.NoError(t, ws.Compute().Delete(t.Context(), "desk", nil))
	_, err = ws.Compute().Get(t.Context(), "desk", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	left, err := os.ReadDir(filepath.Join(p.Cache, "docker", "instances"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestInstanceStopsWhenIdle has one that nobody uses, but for a run.
func TestInstanceStopsWhenIdle(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes an image with JupyterLab")
	}
	t.Parallel()
	testenv.Docker(t)
	p := newPlace(t)
	ws := p.openFor(t)
	const idle = 8 * time.Second
	desk := instance(t, ws, idle)
	link, err := desk.NotebookURL(t.Context(), nil)
	require.NoError(t, err)
	used, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { // however long it takes until the run goes on
		for used.Err() == nil {
			if answer, err := http.Get(strings.Replace(link, "?", "api/contents?", 1)); err == nil { //nolint:noctx // of this machine
				_ = answer.Body.Close()
			}
			time.Sleep(idle / 20)
		}
	}()
	r := target{compute: "desk"}.begin(t, ws, "cd /home/azml; until [ -e go ]; do sleep 0.1; done; echo done", nil)
	require.Eventually(t, func() bool { return stateOf(t, desk).State == compute.InstanceJobRunning }, 5*time.Minute, time.Second)
	stop()
	time.Sleep(idle * 3 / 2) // this is what it must stand
	require.NoError(t, os.WriteFile(filepath.Join(p.Cache, "docker", "instances", desk.Details().Connection["id"], "home", "go"), nil, 0o600))
	require.NoError(t, r.Wait(t.Context(), nil), "a run is use")
	require.Equal(t, "done\n", outputOf(t, r))
	var s compute.Instance
	require.Eventually(t, func() bool {
		s = stateOf(t, desk)
		return s.State == compute.InstanceStopped
	}, 5*time.Minute, time.Second)
	require.Equal(t, compute.TriggerIdleShutdown, s.LastOperation.Trigger)
	require.Equal(t, compute.OperationStop, s.LastOperation.Name)
	require.NoError(t, desk.Start(t.Context(), nil))
	require.Equal(t, compute.OperationStart, stateOf(t, desk).LastOperation.Name)
}

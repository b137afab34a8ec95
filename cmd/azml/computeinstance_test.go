//go:build linux

package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/testenv"
)

// TestComputeInstance makes a compute instance and does all with it that there are
// commands for.
func TestComputeInstance(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes an image with JupyterLab")
	}
	t.Parallel()
	engine := testenv.Docker(t)
	s := setup(t)
	create := []string{"compute", "create", "instance", "desk", "--host", engine.Host, "--network", "host", "--build-network", "host", "--tag", "team=risk", "--description", "for notebooks"}
	require.Contains(t, s.fails(t, exitUsage, create...), `"image"`)
	create = append(create, "--image", testenv.DockerImage, "--idle-shutdown")
	require.Contains(t, s.fails(t, exitUsage, append(create, "soon")...), "--idle-shutdown")
	require.Contains(t, s.fails(t, exitError, append(create, "-1h")...), "idle")
	require.Contains(t, s.fails(t, exitError, append(create, "1h", "-r", "/no/such/requirements.txt")...), "not found")
	for _, verb := range []string{"start", "stop", "restart", "open", "delete", "show"} {
		require.Contains(t, s.fails(t, exitError, "compute", verb, "desk"), "not found", verb)
		require.Contains(t, s.fails(t, exitUsage, "compute", verb), "the name of a", verb)
	}
	t.Cleanup(func() { // also of what is half made
		_ = (&app{stdin: http.NoBody, stdout: t.Output(), stderr: t.Output()}).run(context.Background(), []string{"-w", s.dir, "compute", "delete", "desk"})
	})
	got := s.call(t, append(create, "1h")...)
	require.Zero(t, got.code, got.stderr)
	require.Equal(t, "desk\n", got.stdout)
	require.Contains(t, got.stderr, "azml compute open desk")
	require.Contains(t, s.fails(t, exitError, append(create, "1h")...), "exists")

	var d targetView
	s.json(t, &d, "compute", "show", "desk")
	require.Equal(t, compute.Type("ComputeInstance"), d.Type)
	require.Equal(t, compute.InstanceRunning, d.Instance.State)
	require.Equal(t, compute.OperationCreate, d.Instance.LastOperation.Name)
	require.Regexp(t, `desk +ComputeInstance +\S+ +team=risk +for notebooks`, s.ok(t, "compute", "list"))
	require.Equal(t, http.StatusOK, s.notebooks(t))

	require.Contains(t, s.call(t, "compute", "stop", "desk").stderr, "Stopped desk")
	require.Contains(t, s.ok(t, "compute", "show", "desk"), string(compute.InstanceStopped))
	require.Contains(t, s.fails(t, exitError, "compute", "open", "desk"), "start it")
	require.Contains(t, s.call(t, "compute", "start", "desk").stderr, "Started desk")
	require.Equal(t, http.StatusOK, s.notebooks(t))
	require.Contains(t, s.call(t, "compute", "restart", "desk").stderr, "Restarted desk")
	require.Equal(t, http.StatusOK, s.notebooks(t))
	s.json(t, &d, "compute", "show", "desk")
	require.Equal(t, compute.OperationRestart, d.Instance.LastOperation.Name)

	require.Contains(t, s.fails(t, exitUsage, "compute", "detach", "desk"), "azml compute delete desk")
	require.Contains(t, s.fails(t, exitError, "compute", "start", "local"), "local")
	require.Contains(t, s.call(t, "compute", "delete", "desk").stderr, "Deleted desk")
	s.fails(t, exitError, "compute", "show", "desk")
}

// notebooks asks Jupyter where open says that it is.
func (s *shell) notebooks(t *testing.T) int {
	t.Helper()
	var opened struct{ URL string }
	s.json(t, &opened, "compute", "open", "desk")
	require.Equal(t, opened.URL, s.ok(t, "compute", "open", "desk"))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, opened.URL, http.NoBody)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

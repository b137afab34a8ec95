//go:build linux

package e2e

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/program"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// target is a kind of compute target that the tests of targets are run on.
type target struct {
	name    string
	compute string // the target's name
	detach  bool
	// attach makes the target known in the workspace, nil for this machine.
	attach func(t *testing.T, ws *workspace.Workspace)
}

// drivers are those of all targets here.
func drivers() []backend.ComputeDriver { return []backend.ComputeDriver{process.ComputeDriver{}} }

// targets are all kinds that can be had here.
func targets() []target {
	apart := func(t *testing.T, ws *workspace.Workspace) {
		dir := t.TempDir()
		_, err := ws.Compute().Create(t.Context(), "apart", process.Target{Dir: filepath.Join(dir, "jobs"), CacheDir: filepath.Join(dir, "cache")}, nil)
		require.NoError(t, err)
	}
	return []target{
		{name: "detached", detach: true},
		{name: "through a gateway", compute: "apart", attach: apart},
		{name: "through a gateway, detached", compute: "apart", detach: true, attach: apart},
	}
}

// programs builds the program azml, once for all tests.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "azml-e2e-")
	if err != nil {
		return "", err
	}
	f := &program.Finder{CacheDir: dir}
	return f.Find(context.Background(), backend.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH})
})

// onTarget opens a new workspace that knows the target.
func onTarget(t *testing.T, on target) (*workspace.Workspace, place) {
	p := newPlace(t)
	ws := p.openFor(t)
	if on.attach != nil {
		on.attach(t, ws)
	}
	return ws, p
}

// openFor opens the place's workspace with the drivers of targets.
func (p place) openFor(t *testing.T) *workspace.Workspace {
	t.Helper()
	file, err := programs()
	require.NoError(t, err)
	opts := p.options()
	opts.Computes, opts.Program = drivers(), file
	ws, err := workspace.Open(t.Context(), p.Dir, opts)
	require.NoError(t, err)
	t.Cleanup(func() { closeAll(t, ws) })
	return ws
}

// begin submits a shell script to the target.
func (on target) begin(t *testing.T, ws *workspace.Workspace, script string, change func(*experiment.ScriptRunConfig)) *run.Run {
	t.Helper()
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "targets", nil)
	require.NoError(t, err)
	config := shell(t, script)
	config.Compute = on.compute
	if change != nil {
		change(&config)
	}
	r, err := exp.Submit(t.Context(), config, &experiment.SubmitOptions{Detach: on.detach})
	require.NoError(t, err)
	return r
}

func outputOf(t *testing.T, r *run.Run) string {
	t.Helper()
	log, err := r.Logs(t.Context(), nil)
	require.NoError(t, err)
	defer log.Close()
	data, err := io.ReadAll(log)
	require.NoError(t, err)
	return string(data)
}

// onEach runs a test on each kind of target.
func onEach(t *testing.T, test func(t *testing.T, on target)) {
	for _, on := range targets() {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			test(t, on)
		})
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on target) {
		ws, _ := onTarget(t, on)
		require.NoError(t, ws.Secrets().Set(t.Context(), "pass", "s3cret-value"))
		r := on.begin(t, ws, `
echo "hello $(cat data.txt)"
echo '{"name": "loss", "value": 0.5, "step": 1}' >> "$AZML_METRICS_FILE"
mkdir -p outputs && echo made > outputs/model.txt
echo "s3cret-value"
test -n "$MLFLOW_TRACKING_URI" && test -n "$AZML_SECRETS_URL"`, func(c *experiment.ScriptRunConfig) {
			require.NoError(t, os.WriteFile(filepath.Join(c.Source, "data.txt"), []byte("there"), 0o600))
			c.Secrets = []string{"pass"}
		})
		require.NoError(t, r.Wait(t.Context(), nil))
		require.Equal(t, "hello there\nREDACTED\n", outputOf(t, r))
		require.EqualValues(t, 1, series(t, r, "loss", 1))
		file, err := r.Open(t.Context(), "outputs/model.txt")
		require.NoError(t, err)
		defer file.Close()
		data, err := io.ReadAll(file)
		require.NoError(t, err)
		require.Equal(t, "made\n", string(data))
		clean(t, ws)
	})
}

func TestTargetExits(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on target) {
		ws, _ := onTarget(t, on)
		r := on.begin(t, ws, "echo bad; exit 137", nil)
		err := r.Wait(t.Context(), nil)
		require.ErrorIs(t, err, azml.ErrFailed)
		require.ErrorContains(t, err, "exit code 137; its last line: bad")
	})
}

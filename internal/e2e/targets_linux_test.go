package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/environment"
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
	// site starts what the target needs, which ends with the test, and says where
	// it is; nil for this machine.
	site func(t *testing.T, p place) *site
	// elsewhere says that its processes and files can't be seen from this machine.
	elsewhere bool
}

// targets are all kinds that can be had here.
func targets() []target {
	return []target{
		{name: "detached", detach: true},
		{name: "through a gateway", compute: "apart", site: apart},
		{name: "through a gateway, detached", compute: "apart", detach: true, site: apart},
		{name: "over SSH", compute: "far", site: far},
		{name: "over SSH, detached", compute: "far", detach: true, site: far},
		{name: "in Docker", compute: "box", site: boxed},
		{name: "in Docker, detached", compute: "box", detach: true, site: boxed},
		{name: "over SSH, in Docker", compute: "farbox", site: farBoxed},
		{name: "in Kubernetes, detached", compute: "k8s", detach: true, site: clustered, elsewhere: true},
	}
}

// programs builds the program azml, and beside it azml-agent and azml-unpack, once for all tests.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "azml-e2e-")
	if err != nil {
		return "", err
	}
	atEnd = append(atEnd, func() { _ = os.RemoveAll(dir) })
	f, here := &program.Finder{CacheDir: dir}, backend.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}
	azml, err := f.Find(context.Background(), here)
	if err == nil {
		_, err = f.FindAgent(context.Background(), here)
	}
	return azml, err
})

// onTarget opens a new workspace that knows the target. What it has begun on the target must be gone at the end.
func onTarget(t *testing.T, on target) (*workspace.Workspace, place) {
	ws, p, _ := onSite(t, on)
	return ws, p
}

func onSite(t *testing.T, on target) (*workspace.Workspace, place, *site) {
	t.Helper()
	file, err := programs()
	require.NoError(t, err)
	return onSiteWith(t, on, file)
}

// onSiteWith is onSite with another program azml.
func onSiteWith(t *testing.T, on target, file string) (*workspace.Workspace, place, *site) {
	t.Helper()
	p := newPlace(t)
	s := &site{dirs: []string{p.Cache}, shared: sharedFolder(t)}
	if on.site != nil {
		s = on.site(t, p) // first, to outlive the workspace, which waits for its runs
	}
	ws := p.openWith(t, file)
	if s.config != nil {
		_, err := ws.Compute().Create(t.Context(), on.compute, s.config, nil)
		require.NoError(t, err)
	}
	return ws, p, s
}

// openFor opens the place's workspace with the drivers of targets.
func (p place) openFor(t *testing.T) *workspace.Workspace {
	t.Helper()
	file, err := programs()
	require.NoError(t, err)
	return p.openWith(t, file)
}

// openWith is openFor with another program azml.
func (p place) openWith(t *testing.T, file string) *workspace.Workspace {
	t.Helper()
	opts := p.options()
	opts.Computes, opts.Program = drivers(), file
	ws, err := workspace.Open(t.Context(), p.Dir, opts)
	require.NoError(t, err)
	t.Cleanup(func() { closeAll(t, ws) })
	t.Cleanup(func() { requireNoJobs(t, ws) })
	return ws
}

// requireNoJobs waits until nothing runs on this machine for the workspace any more:
// agents have something to do after their run has ended.
func requireNoJobs(t *testing.T, ws *workspace.Workspace) {
	t.Helper()
	require.Eventually(t, func() bool {
		for job, err := range workspace.Handle(ws).Local().List(context.Background()) {
			if err != nil || job.State == backend.JobRunning {
				return false
			}
		}
		return true
	}, time.Minute, 10*time.Millisecond, "processes are left")
}

// begin submits a shell script to the target.
func (on target) begin(t *testing.T, ws *workspace.Workspace, script string, change func(*experiment.ScriptRunConfig)) *run.Run {
	t.Helper()
	r, err := on.submit(t, ws, script, change)
	require.NoError(t, err)
	return r
}

func (on target) submit(t *testing.T, ws *workspace.Workspace, script string, change func(*experiment.ScriptRunConfig)) (*run.Run, error) {
	t.Helper()
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "targets", nil)
	require.NoError(t, err)
	config := shell(t, script)
	config.Compute = on.compute
	if change != nil {
		change(&config)
	}
	return exp.Submit(t.Context(), config, &experiment.SubmitOptions{Detach: on.detach})
}

func outputOf(t *testing.T, r *run.Run) string {
	t.Helper()
	return logOf(t, r, "user_logs/std_log.txt")
}

func logOf(t *testing.T, r *run.Run, name string) string {
	t.Helper()
	log, err := r.Logs(t.Context(), &run.LogsOptions{Name: name})
	require.NoError(t, err)
	defer log.Close()
	data, err := io.ReadAll(log)
	require.NoError(t, err)
	return string(data)
}

func fileOf(t *testing.T, r *run.Run, path string) string {
	t.Helper()
	file, err := r.Open(t.Context(), path)
	require.NoError(t, err)
	defer file.Close()
	data, err := io.ReadAll(file)
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

// onEachHere runs a test on each kind of target whose processes and files can be
// seen from this machine. Of Kubernetes other tests show the same: that its pods are ended
// and lost TestHowKubernetesEndsRuns, that its submitter is killed
// TestSubmitterToKubernetesKilled and TestSubmitterToKubernetesKilledEarly, that it is cut
// off TestOutages of backend/kubernetes. A node's full disk evicts pods.
func onEachHere(t *testing.T, test func(t *testing.T, on target)) {
	for _, on := range targets() {
		if on.elsewhere {
			continue
		}
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
		require.Equal(t, "hello there\n****\n", outputOf(t, r))
		require.EqualValues(t, 1, series(t, r, "loss", 1))
		require.Equal(t, "made\n", fileOf(t, r, "outputs/model.txt"))
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

// TestTargetFaults are scripts that do what a target must stand.
func TestTargetFaults(t *testing.T) {
	t.Parallel()
	megabytes := size(1000, 20)
	for name, c := range map[string]struct {
		script, failure string
		change          func(*experiment.ScriptRunConfig)
		check           func(t *testing.T, r *run.Run)
	}{
		"much output": {fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x", megabytes<<20), "", nil, func(t *testing.T, r *run.Run) {
			log, err := r.Logs(t.Context(), nil)
			require.NoError(t, err)
			defer log.Close()
			n, err := io.Copy(io.Discard, log)
			require.NoError(t, err)
			require.EqualValues(t, megabytes<<20, n)
		}},
		"no newline": {"printf 'no newline'", "", nil, func(t *testing.T, r *run.Run) { require.Equal(t, "no newline", outputOf(t, r)) }},
		"killed":     {"kill -9 $$", "killed by signal 9", nil, nil},
		"an environment that can't be built": {"true", "build environment", func(c *experiment.ScriptRunConfig) {
			c.Environment = environment.Spec{Python: environment.Python{PythonVersion: ">=99"}}
		}, nil},
		"takes too long": {"trap '' TERM; sleep 1000 & sleep 1000", "time limit", func(c *experiment.ScriptRunConfig) { c.MaxDuration = time.Second }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, on target) {
				ws, _, s := onSite(t, on)
				r, err := on.submit(t, ws, c.script, c.change)
				if err == nil { // else its keeper could not even start the agent, for want of its image
					err = r.Wait(t.Context(), nil)
				}
				if c.failure == "" {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, azml.ErrFailed)
					require.ErrorContains(t, err, c.failure)
				}
				if c.check != nil {
					c.check(t, r)
				}
				if r != nil {
					s.requireNothing(t, r)
				}
			})
		})
	}
}

// TestTargetCancelDeaf cancels a script that does not want to end, wherever it is.
func TestTargetCancelDeaf(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, on target) {
		ws, p := onTarget(t, on)
		r := on.begin(t, ws, "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 1000' & echo begun; while :; do sleep 0.1; done",
			func(c *experiment.ScriptRunConfig) { c.GracePeriod = time.Second })
		require.Eventually(t, func() bool {
			log, err := r.Logs(t.Context(), nil)
			if err != nil {
				return false
			}
			defer log.Close()
			data, err := io.ReadAll(log)
			return err == nil && string(data) == "begun\n"
		}, time.Minute, 50*time.Millisecond, "the script begins")
		other, err := p.openFor(t).Runs().Get(t.Context(), r.ID(), nil) // as another process
		require.NoError(t, err)
		require.NoError(t, other.Cancel(t.Context(), &run.CancelOptions{Reason: "enough"}))
		require.ErrorIs(t, other.Wait(t.Context(), nil), azml.ErrCanceled)
		clean(t, ws)
	})
}

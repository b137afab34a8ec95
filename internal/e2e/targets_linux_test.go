package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/program"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// target is a kind of compute target that the tests of targets are run on.
type target struct {
	name    string
	compute string // the target's name
	detach  bool
	// apart says that its processes have numbers and files of their own, which are not
	// those of this machine.
	apart bool
	// config starts what the target needs, which ends with the test, and says where
	// it is; nil for this machine.
	config func(t *testing.T) compute.Config
}

// targets are all kinds that can be had here.
func targets() []target {
	return []target{
		{name: "detached", detach: true},
		{name: "through a gateway", compute: "apart", config: apart},
		{name: "through a gateway, detached", compute: "apart", detach: true, config: apart},
		{name: "over SSH", compute: "far", config: far},
		{name: "over SSH, detached", compute: "far", detach: true, config: far},
		{name: "in Docker", compute: "box", config: boxed, apart: true},
		{name: "in Docker, detached", compute: "box", detach: true, config: boxed, apart: true},
		{name: "in Kubernetes", compute: "k8s", config: clustered, apart: true},
		{name: "in Kubernetes, detached", compute: "k8s", detach: true, config: clustered, apart: true},
	}
}

func apart(t *testing.T) compute.Config {
	dir := t.TempDir()
	return process.Target{Dir: filepath.Join(dir, "jobs"), CacheDir: filepath.Join(dir, "cache")}
}

func far(t *testing.T) compute.Config {
	server, dir := testenv.SSHD(t), t.TempDir()
	return ssh.Target{Address: "127.0.0.1", Port: server.Port, Username: server.User, Credential: ssh.Credential{PrivateKey: server.Key},
		HostKey: server.HostKey, Dir: filepath.Join(dir, "jobs"), CacheDir: filepath.Join(dir, "cache")}
}

func boxed(t *testing.T) compute.Config {
	return docker.Config{Host: testenv.Docker(t).Host, Image: testenv.DockerImage, BuildNetwork: "host", Network: "none"}
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
	var config compute.Config
	if on.config != nil {
		config = on.config(t) // first, to outlive the workspace, which waits for its runs
	}
	p := newPlace(t)
	ws := p.openFor(t)
	if config != nil {
		_, err := ws.Compute().Create(t.Context(), on.compute, config, nil)
		require.NoError(t, err)
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

// onEach runs a test on each kind of target.
func onEach(t *testing.T, test func(t *testing.T, on target)) {
	for _, on := range targets() {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			test(t, on)
		})
	}
}

// onVisible is onEach for tests that look at processes and files of the script
// from this machine: not where they are the container's own.
func onVisible(t *testing.T, test func(t *testing.T, on target)) {
	onEach(t, func(t *testing.T, on target) {
		if on.apart {
			t.Skip("its processes and files are not those of this machine")
		}
		test(t, on)
	})
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

// TestTargetFaults are scripts that do what a target must stand.
func TestTargetFaults(t *testing.T) {
	t.Parallel()
	megabytes := size(1000, 20)
	files := size(5000, 300)
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
		"many outputs": {fmt.Sprintf("for i in $(seq %d); do echo $i > outputs/$i; done", files), "", nil, func(t *testing.T, r *run.Run) {
			list, err := r.Files(t.Context(), "outputs")
			require.NoError(t, err)
			require.Len(t, list, files)
		}},
		"killed": {"kill -9 $$", "killed by signal 9", nil, nil},
		"an environment that can't be built": {"true", "build environment", func(c *experiment.ScriptRunConfig) {
			c.Environment = environment.Spec{Python: environment.Python{PythonVersion: ">=99"}}
		}, nil},
		"takes too long": {"trap '' TERM; sleep 1000 & sleep 1000", "time limit", func(c *experiment.ScriptRunConfig) { c.MaxDuration = time.Second }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, on target) {
				ws, _ := onTarget(t, on)
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
			})
		})
	}
}

// forking never ends by itself, and neither do the processes that it starts; PIDS
// gets their numbers.
const forking = `trap '' TERM
echo '{"name": "n", "value": 1, "step": 0}' >> "$AZML_METRICS_FILE"
(trap '' TERM; setsid sh -c 'trap "" TERM; echo $$ >> "$PIDS"; while :; do sleep 0.1; done' &)
echo $$ >> "$PIDS"
while :; do sleep 0.1; done`

// beginForking submits that script and waits until its processes are there.
func (on target) beginForking(t *testing.T, ws *workspace.Workspace) (r *run.Run, pids func() []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pids")
	pids = func() []string {
		data, _ := os.ReadFile(file)
		return strings.Fields(string(data))
	}
	r = on.begin(t, ws, forking, func(c *experiment.ScriptRunConfig) { c.Variables = map[string]string{"PIDS": file} })
	require.Eventually(t, func() bool {
		return len(pids()) == 2 && series(t, r, "n", 0) == 1
	}, time.Minute, 20*time.Millisecond, "the script begins, and what it says is there")
	return r, pids
}

func requireGone(t *testing.T, pids []string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(pids, func(pid string) bool {
			n, err := strconv.Atoi(pid)
			require.NoError(t, err)
			return syscall.Kill(n, 0) == nil
		})
	}, time.Minute, 20*time.Millisecond, "processes of the script are left")
}

func TestTargetCancel(t *testing.T) {
	t.Parallel()
	onVisible(t, func(t *testing.T, on target) {
		ws, p := onTarget(t, on)
		r, pids := on.beginForking(t, ws)
		other, err := p.openFor(t).Runs().Get(t.Context(), r.ID(), nil) // as another process
		require.NoError(t, err)
		require.NoError(t, other.Cancel(t.Context(), nil))
		require.ErrorIs(t, other.Wait(t.Context(), nil), azml.ErrCanceled)
		requireGone(t, pids())
		require.EqualValues(t, 1, series(t, r, "n", 0))
	})
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

// agentOf gives the process that answers for the run.
func agentOf(t *testing.T, ws *workspace.Workspace, r *run.Run) int {
	t.Helper()
	stored, err := history.Get(t.Context(), workspace.Handle(ws), r.ID())
	require.NoError(t, err)
	require.NotEqual(t, os.Getpid(), stored.Value.Owner.PID)
	return stored.Value.Owner.PID
}

func TestTargetAgentKilled(t *testing.T) {
	t.Parallel()
	onVisible(t, func(t *testing.T, on target) {
		ws, _ := onTarget(t, on)
		r, pids := on.beginForking(t, ws)
		require.NoError(t, syscall.Kill(agentOf(t, ws, r), syscall.SIGKILL))
		require.ErrorIs(t, r.Wait(t.Context(), nil), azml.ErrFailed)
		require.NotEmpty(t, r.Details().Reason)
		requireGone(t, pids())
		require.EqualValues(t, 1, series(t, r, "n", 0), "what was taken is kept")
	})
}

// TestTargetSubmitterKilled kills the process that has submitted a run, and with it
// the way from the agent to its workspace. The script goes on, and all is there when
// another process waits for the run.
func TestTargetSubmitterKilled(t *testing.T) {
	t.Parallel()
	on := targets()[1]
	ws, p := onTarget(t, on)
	config := shell(t, `echo first; until [ -e "$PLACE/go" ]; do sleep 0.05; done
for i in $(seq 0 99); do echo "{\"name\": \"n\", \"value\": $i, \"step\": $i}"; done >> "$AZML_METRICS_FILE"
echo second; touch "$PLACE/done"`)
	file, err := programs()
	require.NoError(t, err)
	w := start(t, errand{Name: "submit", Place: p, Dir: config.Source, Program: file})
	require.True(t, w.lines.Scan(), w.stderr)
	r, err := ws.Runs().Get(t.Context(), w.lines.Text(), nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		log, err := r.Logs(t.Context(), nil)
		if err != nil {
			return false
		}
		defer log.Close()
		said, err := io.ReadAll(log)
		return err == nil && string(said) == "first\n"
	}, time.Minute, 20*time.Millisecond, "the script begins")
	require.NoError(t, w.cmd.Process.Kill())
	require.Error(t, w.cmd.Wait())
	require.NoError(t, os.WriteFile(filepath.Join(config.Source, "go"), nil, 0o600))
	require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(config.Source, "done")); return err == nil }, time.Minute, 20*time.Millisecond,
		"the script goes on without a way to the workspace")
	time.Sleep(cutFor)
	require.NoError(t, r.Refresh(t.Context()))
	require.False(t, r.Status().Terminal(), "nobody can know of its end")
	require.NoError(t, r.Wait(t.Context(), nil))
	require.Equal(t, "first\nsecond\n", outputOf(t, r))
	require.EqualValues(t, 100, series(t, r, "n", 0))
}

// cutFor is how long an agent has no way to its workspace.
const cutFor = 2 * time.Second

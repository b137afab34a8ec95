//go:build linux

package scheduler_test

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/backend/ssh"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/program"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/scheduler"
	"github.com/azml-go/azml/workspace"
)

// schedulerEnv makes this program schedule the place in it until it is ended.
const schedulerEnv = "AZML_TEST_SCHEDULER"

// dieEnv has it killed at the write of that number.
const dieEnv = "AZML_TEST_DIE_AT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(schedulerEnv); dir != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		ws, err := openPlace(ctx, dir)
		if write, isSet := os.LookupEnv(dieEnv); err == nil && isSet {
			n, _ := strconv.ParseInt(write, 10, 64)
			scheduler.ServeAndDie(ctx, workspace.Handle(ws), computes, "pool", hasty, n)
		} else if err == nil {
			err = scheduler.Run(ctx, ws, &fast)
		}
		if ctx.Err() == nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(programDir)
		os.Exit(code)
	}))
}

// programDir is where azml builds, empty when it does not.
var programDir string

// fast are options for tests. Schedulers of a loaded machine may be silent for
// seconds, which costs no more than a change of places.
var fast = scheduler.Options{Every: 50 * time.Millisecond, TakeOver: 2 * time.Second}

// patient are those where commands start and stop machines, which are ended when this
// process can give no sign of life for long, and hasty those where one is alive at a time.
var (
	patient = scheduler.Options{Every: 50 * time.Millisecond, TakeOver: 20 * time.Second}
	hasty   = scheduler.Options{Every: 20 * time.Millisecond, TakeOver: 300 * time.Millisecond}
)

// azml builds the program, once for all tests and for the processes they start.
var azml = sync.OnceValues(func() (string, error) {
	if file := os.Getenv("AZML_TEST_PROGRAM"); file != "" {
		return file, nil
	}
	dir, err := os.MkdirTemp("", "azml-scheduler-")
	if err != nil {
		return "", err
	}
	programDir = dir
	f := &program.Finder{CacheDir: dir}
	return f.Find(context.Background(), backend.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH})
})

// openPlace opens the workspace in dir.
func openPlace(ctx context.Context, dir string) (*workspace.Workspace, error) {
	file, err := azml()
	if err != nil {
		return nil, err
	}
	return workspace.Open(ctx, filepath.Join(dir, "ws"), &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "key"),
		Computes: computes, Program: file})
}

var computes = []backend.ComputeDriver{process.ComputeDriver{}, ssh.ComputeDriver{}}

// open opens a new workspace with a cluster "pool" of nodes that are folders of this
// machine, unless there are none.
func open(t *testing.T, c compute.Cluster, nodes int) (*workspace.Workspace, string) {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { testenv.KillProcessesAbout(dir) }) // agents that were done as the scheduler's end cut them off
	ws, err := openPlace(t.Context(), dir)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		require.NoError(t, ws.Close(ctx))
	})
	for i := range nodes {
		name := "node-" + string(rune('a'+i))
		_, err := ws.Compute().Create(t.Context(), name, process.Target{Dir: filepath.Join(dir, name), CacheDir: filepath.Join(dir, name+"-cache")}, nil)
		require.NoError(t, err)
		member := compute.Member{Target: name}
		if i < len(c.Members) {
			member.Start, member.Stop, member.Nodes = c.Members[i].Start, c.Members[i].Stop, c.Members[i].Nodes
			c.Members[i] = member
			continue
		}
		c.Members = append(c.Members, member)
	}
	if nodes > 0 {
		_, err = ws.Compute().Create(t.Context(), "pool", c, nil)
		require.NoError(t, err)
	}
	return ws, dir
}

// schedule schedules until the test ends, and before the workspace is closed.
func schedule(t *testing.T, ws *workspace.Workspace) {
	t.Helper()
	t.Cleanup(scheduleFor(t, ws, fast))
}

// scheduleFor schedules until end is called.
func scheduleFor(t *testing.T, ws *workspace.Workspace, o scheduler.Options) (end func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- scheduler.Run(ctx, ws, &o) }()
	return func() {
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
	}
}

// submit submits a shell script to the cluster.
func submit(t *testing.T, ws *workspace.Workspace, name, script string, change func(*experiment.ScriptRunConfig)) *run.Run {
	t.Helper()
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), name, nil)
	require.NoError(t, err)
	config := experiment.ScriptRunConfig{Source: t.TempDir(), Command: []string{"/bin/sh", "-c", script}, Compute: "pool"}
	if change != nil {
		change(&config)
	}
	r, err := exp.Submit(t.Context(), config, nil)
	require.NoError(t, err)
	return r
}

func status(t *testing.T, ws *workspace.Workspace) compute.ClusterStatus {
	t.Helper()
	pool, err := ws.Compute().Get(t.Context(), "pool", nil)
	require.NoError(t, err)
	s, err := pool.Status(t.Context(), nil)
	require.NoError(t, err)
	return s
}

// soon is longer than anything takes, on a machine that has much to do.
const soon = 2 * time.Minute

// eventually waits until the cluster is so.
func eventually(t *testing.T, ws *workspace.Workspace, what string, is func(compute.ClusterStatus) bool) {
	t.Helper()
	deadline := time.Now().Add(soon)
	for s := status(t, ws); !is(s); s = status(t, ws) {
		require.True(t, time.Now().Before(deadline), "%s: %+v", what, s)
		time.Sleep(20 * time.Millisecond)
	}
}

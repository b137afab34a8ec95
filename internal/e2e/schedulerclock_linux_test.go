package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// schedulerOf starts a process that schedules the clusters of the place's workspace, and
// returns when it says that it does.
func (p place) schedulerOf(t *testing.T, file string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(file, "-w", p.Dir, "scheduler")
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Dir(p.Cache), "XDG_CONFIG_HOME="+filepath.Dir(filepath.Dir(p.Key)))
	cmd.Stdout = t.Output()
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, where the test came so far
	said := bufio.NewReader(stderr)
	line, err := said.ReadString('\n')
	require.NoError(t, err, line)
	require.Contains(t, line, "have a scheduler here")
	go func() { _, _ = io.Copy(t.Output(), said) }()
	return cmd
}

// awaitCluster waits until the cluster "pool" is so.
func awaitCluster(t *testing.T, ws *workspace.Workspace, what string, is func(compute.ClusterStatus) bool) compute.ClusterStatus {
	t.Helper()
	pool, err := ws.Compute().Get(t.Context(), "pool", nil)
	require.NoError(t, err)
	var s compute.ClusterStatus
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		s, err = pool.Status(t.Context(), nil)
		require.NoError(t, err)
		if is(s) {
			break
		}
		require.Less(t, time.Since(began), 5*time.Minute, "%s: %+v", what, s)
	}
	return s
}

// TestSchedulersClockSkew has two processes at a time schedule a cluster, one with a clock
// that is an hour ahead and one an hour behind, and kills whichever does, with SIGKILL,
// while runs wait and run: each run runs once, and the machine that was started is stopped.
func TestSchedulersClockSkew(t *testing.T) {
	t.Parallel()
	files, err := programsOff()
	require.NoError(t, err)
	base := t.TempDir()
	p := place{Dir: filepath.Join(base, "ws"), Cache: filepath.Join(base, "cache", "azml"), Key: filepath.Join(base, "config", "azml", "secrets.key")}
	ws := p.openFor(t)
	for _, name := range []string{"woken", "plain"} {
		_, err := ws.Compute().Create(t.Context(), name, process.Target{Dir: filepath.Join(base, name), CacheDir: filepath.Join(base, name+"-cache")}, nil)
		require.NoError(t, err)
	}
	log, ran := filepath.Join(base, "log"), filepath.Join(base, "ran")
	command := func(says string) string {
		return fmt.Sprintf("exec 9>>%[1]s.now; flock -n 9 || { echo overlap >>%[1]s; exit 1; }; echo %[2]s >>%[1]s; sleep 0.3", log, says)
	}
	_, err = ws.Compute().Create(t.Context(), "pool", compute.Cluster{IdleBeforeScaleDown: time.Second,
		Members: []compute.Member{{Target: "woken", Nodes: 2, Start: command("on"), Stop: command("off")}, {Target: "plain"}}}, nil)
	require.NoError(t, err)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "churn", nil)
	require.NoError(t, err)
	var runs []*run.Run
	var expected []string
	for i := range 12 {
		r, err := exp.Submit(t.Context(), experiment.ScriptRunConfig{Source: t.TempDir(), Command: []string{"/bin/sh", "-c", fmt.Sprintf("echo %d >>%s; sleep 1", i, ran)}, Compute: "pool"}, nil)
		require.NoError(t, err)
		runs, expected = append(runs, r), append(expected, fmt.Sprint(i))
	}
	placed := func(s compute.ClusterStatus) (n int) {
		for _, e := range s.Events {
			if strings.HasPrefix(e.What, "place ") {
				n++
			}
		}
		return n
	}

	began, before := time.Now(), 0
	first := p.schedulerOf(t, files["ahead"])
	awaitCluster(t, ws, "the first schedules", func(s compute.ClusterStatus) bool { return placed(s) > 0 })
	var second *exec.Cmd
	for _, next := range []string{"behind", "ahead"} { // each is there before the one is killed that it follows
		second = p.schedulerOf(t, files[next])
		s := awaitCluster(t, ws, "runs are placed", func(s compute.ClusterStatus) bool { return placed(s) > before })
		t.Logf("killed after %s with %d placed", time.Since(began), placed(s))
		require.NoError(t, first.Process.Kill())
		_ = first.Wait() // killed
		first, before = second, placed(s)+2
	}
	for _, r := range runs {
		require.NoError(t, r.Wait(t.Context(), nil))
	}
	t.Logf("all have ended after %s", time.Since(began))
	s := awaitCluster(t, ws, "all nodes are off", func(s compute.ClusterStatus) bool { return len(s.Queue) == 0 && s.NodeStateCounts["off"] == 3 })
	require.NoError(t, second.Process.Signal(os.Interrupt))
	require.NoError(t, second.Wait())

	text, err := os.ReadFile(ran)
	require.NoError(t, err)
	require.ElementsMatch(t, expected, strings.Fields(string(text)), "each ran once")
	text, err = os.ReadFile(log)
	require.NoError(t, err)
	done := strings.Fields(string(text))
	require.Contains(t, done, "on")
	require.NotContains(t, done, "overlap")
	require.Equal(t, "off", done[len(done)-1], "the machine is stopped")
	for _, e := range s.Events {
		require.WithinRange(t, e.Time, began.Add(-time.Minute), time.Now().Add(time.Minute), "%s, by the store's clock", e.What)
	}
	for _, pattern := range []string{"woken/agent-*", "plain/agent-*", "cache/azml/keepers/*/*"} {
		require.Eventually(t, func() bool {
			left, err := filepath.Glob(filepath.Join(base, pattern))
			return err == nil && len(left) == 0
		}, 5*time.Minute, 50*time.Millisecond, pattern+" is left")
	}
	require.Eventually(t, func() bool { return len(testenv.ProcessesAbout(base)) == 0 }, 5*time.Minute, 50*time.Millisecond, "processes are left")
	clean(t, ws)
}

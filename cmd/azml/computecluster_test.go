//go:build linux

package main

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/run"
)

// TestCluster creates a cluster, has a run wait for it, schedules, and looks.
func TestCluster(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	s := setup(t)
	dir := t.TempDir()
	for _, node := range []string{"red", "blue"} {
		s.ok(t, "compute", "attach", "process", node, "--dir", filepath.Join(dir, node), "--cache-dir", filepath.Join(dir, node+"-cache"))
	}
	require.Contains(t, s.fails(t, 2, "compute", "create", "cluster", "pool"), "member")
	require.Contains(t, s.fails(t, 2, "compute", "create", "cluster", "pool", "--member", "red=many"), "TARGET=NODES")
	require.Contains(t, s.fails(t, 1, "compute", "create", "cluster", "pool", "--member", "green"), "not found")
	s.ok(t, "compute", "create", "cluster", "pool", "--member", "red=2", "--member", "blue", "--start", "red=true", "--idle", "1s")
	s.ok(t, "compute", "update", "pool", "--max-nodes", "2")
	s.showsCluster(t)
	require.Contains(t, s.ok(t, "compute", "nodes", "pool"), "run azml scheduler")
	require.Contains(t, s.fails(t, 2, "run", "submit", "-e", "exp", "-s", t.TempDir(), "--nodes", "2", "--command", "--", "true"), "--framework")
	source := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(source, "file"), nil, 0o600))
	s.ok(t, "run", "submit", "-e", "exp", "-s", source, "--run-id", "gang", "--compute", "pool", "--framework", "pytorch", "--nodes", "2", "--processes", "2",
		"--detach", "--command", "--", "sh", "-c", "echo $RANK of $WORLD_SIZE")
	require.Equal(t, run.StatusQueued, s.status(t, "gang"))
	require.Contains(t, s.ok(t, "compute", "nodes", "pool"), "it needs 2 nodes: 0 free")
	require.Equal(t, "gang", s.activeRun(t, "pool"))
	require.Empty(t, s.activeRun(t, "red"))
	// Built before anybody waits for it: that takes longer than all the rest.
	file, err := builtProgram()
	require.NoError(t, err)
	bin := t.TempDir()
	require.NoError(t, os.Symlink(file, filepath.Join(bin, "azml")))
	cmd := s.command(t, "scheduler")
	cmd.Env = append(cmd.Env, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	require.NoError(t, cmd.Start())
	defer func() {
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		require.NoError(t, cmd.Wait())
	}()
	require.Eventually(t, func() bool { return s.status(t, "gang").Terminal() }, 10*time.Minute, 100*time.Millisecond)
	require.Equal(t, run.StatusCompleted, s.status(t, "gang"))
	require.Equal(t, "0 of 4", s.ok(t, "run", "logs", "gang"))
	require.Equal(t, "3 of 4", s.ok(t, "run", "logs", "gang", "--name", "user_logs/std_log_process_3.txt"))
	var status compute.ClusterStatus
	s.json(t, &status, "compute", "nodes", "pool")
	require.Empty(t, status.Queue)
	require.Len(t, status.Nodes, 3)
	require.NotEmpty(t, status.Events)
	s.stopsAndStarts(t)
	s.watchesCluster(t)
	s.ok(t, "compute", "doctor", "pool")
	s.ok(t, "compute", "delete", "pool")
	require.NotContains(t, s.ok(t, "compute", "list"), "pool")
}

// TestPriorityWithoutCluster says that there is nothing to wait for.
func TestPriorityWithoutCluster(t *testing.T) {
	t.Parallel()
	s := setup(t)
	got := s.call(t, "run", "submit", "-e", "exp", "-s", t.TempDir(), "--priority", "3", "--command", "--", "true")
	require.Zero(t, got.code, got.stderr)
	require.Contains(t, got.stderr, "Priority 3 changes nothing: it is for runs that wait for a cluster, and compute target local is none.")
	require.NotContains(t, s.call(t, "run", "submit", "-e", "exp", "-s", t.TempDir(), "--command", "--", "true").stderr, "Priority")
}

// activeRun gives the run that a target has or that waits for it, "" for none.
func (s *shell) activeRun(t *testing.T, target string) string {
	t.Helper()
	var found []run.Details
	s.json(t, &found, "run", "list", "--filter", "target = '"+target+"' and status in ('Queued', 'Running')")
	if len(found) == 0 {
		return ""
	}
	require.Len(t, found, 1)
	return found[0].RunID
}

// showsCluster shows what the cluster consists of, and has no idle time.
func (s *shell) showsCluster(t *testing.T) {
	t.Helper()
	shown := s.ok(t, "compute", "show", "pool")
	require.Regexp(t, `Nodes: +0 to 2, dedicated, idle for 1s at most`, shown)
	require.Regexp(t, `(?m)^red +2 +true$`, shown)
	require.Regexp(t, `(?m)^blue +1$`, shown)
	var d compute.Details
	s.json(t, &d, "compute", "show", "pool")
	require.Equal(t, &compute.ClusterDetails{MaxNodes: 2, IdleSeconds: 1, Priority: compute.Dedicated,
		Members: []compute.Member{{Target: "red", Nodes: 2, Start: "true"}, {Target: "blue", Nodes: 1}}}, d.Cluster)
	require.Contains(t, s.fails(t, 1, "compute", "update", "pool", "--idle", "500ms"), "whole seconds")
	s.ok(t, "compute", "create", "cluster", "hasty", "--member", "blue", "--idle", "0")
	s.json(t, &d, "compute", "show", "hasty")
	require.Zero(t, d.Cluster.IdleSeconds)
	s.ok(t, "compute", "delete", "hasty")
}

// stopsAndStarts stops the cluster, has a run wait for it, and starts it again.
func (s *shell) stopsAndStarts(t *testing.T) {
	t.Helper()
	s.ok(t, "compute", "stop", "pool")
	s.ok(t, "run", "submit", "-e", "exp", "-s", t.TempDir(), "--run-id", "later", "--compute", "pool", "--detach", "--command", "--", "true")
	s.awaitCluster(t, func(c compute.ClusterStatus) bool { return c.Stopped && c.NodeStateCounts["off"] == 3 })
	require.Contains(t, s.ok(t, "compute", "nodes", "pool"), "the cluster is stopped")
	require.Contains(t, s.fails(t, 1, "compute", "doctor", "pool"), "the cluster is stopped")
	require.Contains(t, s.fails(t, 1, "compute", "delete", "pool"), "later")
	require.Equal(t, run.StatusQueued, s.status(t, "later"))
	s.ok(t, "compute", "start", "pool")
	require.Eventually(t, func() bool { return s.status(t, "later").Terminal() }, 10*time.Minute, 100*time.Millisecond)
	require.Equal(t, run.StatusCompleted, s.status(t, "later"))
	s.ok(t, "compute", "update", "pool", "--min-nodes", "1")
	s.ok(t, "compute", "wait", "pool", "--min-nodes", "1", "--within", "10m")
	s.awaitCluster(t, func(c compute.ClusterStatus) bool { return c.CurrentNodeCount == 1 && c.NodeStateCounts["off"] == 2 })
	s.ok(t, "compute", "update", "pool", "--min-nodes", "0", "--idle", "1s")
	s.awaitCluster(t, func(c compute.ClusterStatus) bool { return c.NodeStateCounts["off"] == 3 })
}

// awaitCluster waits until the cluster is so.
func (s *shell) awaitCluster(t *testing.T, is func(compute.ClusterStatus) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		var c compute.ClusterStatus
		s.json(t, &c, "compute", "nodes", "pool")
		return is(c)
	}, 10*time.Minute, 100*time.Millisecond)
}

// watchesCluster watches until a decision is seen, and on a terminal.
func (s *shell) watchesCluster(t *testing.T) {
	t.Helper()
	watch := s.command(t, "compute", "watch", "pool")
	out, err := watch.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, watch.Start())
	lines := bufio.NewScanner(out)
	await := func(want string) {
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		require.Fail(t, "it has ended", "without %q: %v", want, lines.Err())
	}
	await("NODE ")
	s.ok(t, "run", "submit", "-e", "exp", "-s", t.TempDir(), "--run-id", "seen", "--compute", "pool", "--detach", "--command", "--", "true")
	await("place seen on ")
	require.NoError(t, watch.Process.Signal(os.Interrupt))
	_, _ = io.Copy(io.Discard, out) // to its end
	require.NoError(t, watch.Wait())
	require.Eventually(t, func() bool { return s.status(t, "seen").Terminal() }, 10*time.Minute, 100*time.Millisecond)

	sc := s.onTerminal(t, 100, 24, "compute", "watch", "pool")
	sc.await("the decision", contains("place seen on "))
	sc.await("who schedules", contains("scheduled on "))
	_, err = sc.master.WriteString("q")
	require.NoError(t, err)
	code, after := sc.end()
	require.Zero(t, code, after)
	require.Contains(t, after, "nodes started", "the last state stays")
}

//go:build linux

package scheduler_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	azmlerrors "github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// machine is a member whose commands tell a log when they begin and end, and refuse to
// run beside each other.
func machine(log string) compute.Member {
	command := func(name string) string {
		return "mkdir " + log + ".runs || { echo overlap >>" + log + "; exit 1; }; echo " + name + " >>" + log + "; sleep 0.3; rmdir " + log + ".runs"
	}
	return compute.Member{Start: command("on"), Stop: command("off")}
}

func said(t *testing.T, log string) []string {
	t.Helper()
	text, err := os.ReadFile(log)
	require.NoError(t, err)
	return strings.Fields(string(text))
}

// TestMachinesAreStopped has a machine of three nodes started, and stopped again
// with its cluster, and before that is deleted: its commands never run beside each other,
// and the last of them is the one that was wanted last.
func TestMachinesAreStopped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	m := machine(log)
	m.Nodes = 3
	ws, _ := open(t, compute.Cluster{Members: []compute.Member{m}}, 1)
	t.Cleanup(scheduleFor(t, ws, patient))
	pool, err := ws.Compute().Get(t.Context(), "pool", nil)
	require.NoError(t, err)
	require.NoError(t, submit(t, ws, "churn", "true", nil).Wait(t.Context(), nil))
	for range 2 {
		require.NoError(t, pool.Stop(t.Context(), nil))
		require.NoError(t, pool.Stop(t.Context(), nil), "stopping what is stopped does nothing")
		require.ErrorIs(t, pool.Check(t.Context(), nil), azmlerrors.ErrConflict)
		waits := submit(t, ws, "churn", "true", nil)
		eventually(t, ws, "all nodes are off, and the run waits", func(s compute.ClusterStatus) bool {
			return s.Stopped && s.NodeStateCounts["off"] == 3 && len(s.Queue) == 1 && strings.Contains(s.Queue[0].WaitsFor, "stopped")
		})
		require.Equal(t, "off", said(t, log)[len(said(t, log))-1])
		require.NoError(t, pool.Start(t.Context(), nil))
		require.NoError(t, pool.Stop(t.Context(), nil)) // at once: whatever of it is seen, all ends as it was wanted last
		require.NoError(t, pool.Start(t.Context(), nil))
		require.NoError(t, waits.Wait(t.Context(), nil))
		require.NoError(t, pool.Check(t.Context(), nil))
	}
	_, err = ws.Compute().Update(t.Context(), "pool", &compute.UpdateOptions{MinNodes: new(3)})
	require.NoError(t, err)
	eventually(t, ws, "all nodes are started", func(s compute.ClusterStatus) bool { return s.NodeStateCounts["idle"] == 3 })
	require.NoError(t, ws.Compute().Delete(t.Context(), "pool", nil))
	all := said(t, log)
	require.NotContains(t, all, "overlap")
	require.Equal(t, "off", all[len(all)-1])
	_, err = ws.Compute().Get(t.Context(), "pool", nil)
	require.ErrorIs(t, err, azmlerrors.ErrNotFound)
}

// TestClustersThatCanNotBeDeleted has machines on that nobody stops, or that can't be
// stopped.
func TestClustersThatCanNotBeDeleted(t *testing.T) {
	t.Parallel()
	ws, _ := open(t, compute.Cluster{MinNodes: 1, Members: []compute.Member{{Stop: "echo it is stuck; exit 4"}}}, 1)
	end := scheduleFor(t, ws, patient)
	eventually(t, ws, "started", func(s compute.ClusterStatus) bool { return s.NodeStateCounts["idle"] == 1 })
	require.ErrorContains(t, ws.Compute().Delete(t.Context(), "pool", nil), "it is stuck")
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "churn", nil)
	require.NoError(t, err)
	_, err = exp.Submit(t.Context(), experiment.ScriptRunConfig{Source: t.TempDir(), Command: []string{"true"}, Compute: "pool"}, nil)
	require.ErrorIs(t, err, azmlerrors.ErrNotFound, "it is being deleted")
	end()
	err = ws.Compute().Delete(t.Context(), "pool", &compute.DeleteOptions{Patience: time.Millisecond})
	require.ErrorIs(t, err, azmlerrors.ErrUnavailable)
	require.NoError(t, ws.Compute().Delete(t.Context(), "pool", &compute.DeleteOptions{Force: true}))
}

// TestSubmittingToADeletedCluster has the cluster deleted in the middle of a batch:
// there is an error, and nothing is left of the run that it is about.
func TestSubmittingToADeletedCluster(t *testing.T) {
	t.Parallel()
	ws, _ := open(t, compute.Cluster{}, 1)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "sweep", nil)
	require.NoError(t, err)
	asked := 0
	var last error
	config := experiment.ScriptRunConfig{Source: t.TempDir(), Command: []string{"/bin/false"}, Compute: "pool"}
	for r, err := range exp.SubmitEach(t.Context(), config, variations(5, &asked), nil) {
		if last = err; err != nil {
			break
		}
		require.ErrorIs(t, ws.Compute().Delete(t.Context(), "pool", nil), azmlerrors.ErrConflict, "a run waits")
		if asked == 2 {
			first, err := ws.Runs().Get(t.Context(), "trial-0000", nil)
			require.NoError(t, err)
			require.NoError(t, first.Cancel(t.Context(), nil))
			require.NoError(t, r.Cancel(t.Context(), nil))
			require.NoError(t, ws.Compute().Delete(t.Context(), "pool", nil))
		}
	}
	require.ErrorIs(t, last, azmlerrors.ErrNotFound)
	require.ErrorContains(t, last, "pool was deleted")
	require.Equal(t, 3, asked)
	_, err = ws.Runs().Get(t.Context(), "trial-0002", nil)
	require.ErrorIs(t, err, azmlerrors.ErrNotFound)
	for info, err := range workspace.Handle(ws).Objects().List(t.Context(), &backend.ListOptions{Prefix: "clusters/"}) {
		require.NoError(t, err)
		t.Error(info.Key, "is left")
	}
}

// TestFormerAgents has an agent still work that had the run before it was queued
// anew: it is ended before the next one begins.
func TestFormerAgents(t *testing.T) {
	t.Parallel()
	ws, dir := open(t, compute.Cluster{Priority: compute.LowPriority}, 1)
	h := workspace.Handle(ws)
	node, err := ws.Compute().Get(t.Context(), "node-a", nil)
	require.NoError(t, err)
	opened, err := compute.Open(t.Context(), node)
	require.NoError(t, err)
	defer func() { require.NoError(t, opened.Close()) }()
	pid := filepath.Join(dir, "pid")
	r := submit(t, ws, "churn", "kill -0 $(cat "+pid+") 2>/dev/null && echo beside || echo alone", nil)
	require.NoError(t, opened.Start(t.Context(), backend.Job{ID: "agent-old", Command: []string{"/bin/sh", "-c", "trap : TERM; echo $$ >" + pid + "; while :; do sleep 0.1; done"}, Dir: "/"}))
	require.Eventually(t, func() bool { text, err := os.ReadFile(pid); return err == nil && len(text) > 0 }, soon, 10*time.Millisecond)
	_, err = history.Update(t.Context(), h, r.ID(), core.Quiet, func(rec *record.Run) error {
		rec.Agent = &record.Agent{Job: "agent-old", Nodes: []string{"node-a/0"}, Adopted: true, Requeue: true}
		rec.Requeue()
		return nil
	})
	require.NoError(t, err)
	schedule(t, ws)
	require.NoError(t, r.Wait(t.Context(), nil))
	require.Equal(t, "alone\n", logText(t, r, "user_logs/std_log.txt"))
	_, err = opened.Status(context.WithoutCancel(t.Context()), "agent-old")
	require.ErrorIs(t, err, azmlerrors.ErrNotFound)
	require.Equal(t, run.StatusCompleted, r.Status())
}

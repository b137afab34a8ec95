//go:build linux

package compute_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/workspace"
)

// withTargets opens a workspace with the targets "red" and "blue".
func withTargets(t *testing.T) *workspace.Workspace {
	t.Helper()
	dir := t.TempDir()
	opts := workspacetest.Options(dir)
	opts.Computes = []backend.ComputeDriver{process.ComputeDriver{}}
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.WithoutCancel(t.Context()))) })
	for _, name := range []string{"red", "blue"} {
		_, err := ws.Compute().Create(t.Context(), name, process.Target{Dir: filepath.Join(dir, name)}, &compute.CreateOptions{SkipValidation: true})
		require.NoError(t, err)
	}
	return ws
}

var redAndBlue = []compute.Member{{Target: "red", Nodes: 2, Start: "wakeonlan red", Stop: "poweroff"}, {Target: "blue"}}

// pool makes a cluster of both targets.
func pool(t *testing.T, ws *workspace.Workspace) *compute.Target {
	t.Helper()
	target, err := ws.Compute().Create(t.Context(), "pool", compute.Cluster{Members: redAndBlue, MinNodes: 1}, nil)
	require.NoError(t, err)
	return target
}

// schedulerSays writes what a scheduler would have written of the nodes.
func schedulerSays(t *testing.T, ws *workspace.Workspace, nodes ...record.ClusterNode) {
	t.Helper()
	require.NoError(t, core.PutQuiet(t.Context(), workspace.Handle(ws), compute.StateRef("pool").Key, record.ClusterState{Nodes: nodes}))
}

func TestClusterShowsItsMembers(t *testing.T) {
	t.Parallel()
	ws := withTargets(t)
	pool(t, ws)
	target, err := ws.Compute().Get(t.Context(), "pool", nil)
	require.NoError(t, err)
	d := target.Details()
	require.Equal(t, &compute.ClusterDetails{MinNodes: 1, MaxNodes: 3, IdleSeconds: 1800, Priority: compute.Dedicated,
		Members: []compute.Member{redAndBlue[0], {Target: "blue", Nodes: 1}}}, d.Cluster)
	text, err := json.Marshal(d.Cluster)
	require.NoError(t, err)
	require.JSONEq(t, `{"members": [{"target": "red", "nodes": 2, "start": "wakeonlan red", "stop": "poweroff"}, {"target": "blue", "nodes": 1}],
		"minNodeCount": 1, "maxNodeCount": 3, "idleSecondsBeforeScaledown": 1800, "vmPriority": "dedicated", "stopped": false}`, string(text))
	require.NoError(t, target.Stop(t.Context(), nil))
	target, err = ws.Compute().Get(t.Context(), "pool", nil)
	require.NoError(t, err)
	require.True(t, target.Details().Cluster.Stopped)
	red, err := ws.Compute().Get(t.Context(), "red", nil)
	require.NoError(t, err)
	require.Nil(t, red.Details().Cluster)
}

func TestIdleTime(t *testing.T) {
	t.Parallel()
	ws := withTargets(t)
	pool(t, ws)
	for name, c := range map[string]struct {
		idle    time.Duration
		seconds int64
	}{
		"none":       {compute.NoIdle, 0},
		"a minute":   {time.Minute, 60},
		"a fraction": {500 * time.Millisecond, -1},
		"more":       {1500 * time.Millisecond, -1},
		"negative":   {-time.Second, -1},
	} {
		t.Run(name, func(t *testing.T) {
			made, err := ws.Compute().Create(t.Context(), "other", compute.Cluster{Members: redAndBlue, IdleBeforeScaleDown: c.idle}, nil)
			updated, updateErr := ws.Compute().Update(t.Context(), "pool", &compute.UpdateOptions{IdleBeforeScaleDown: &c.idle})
			if c.seconds < 0 {
				require.ErrorIs(t, err, azml.ErrInvalid)
				require.ErrorIs(t, updateErr, azml.ErrInvalid)
				return
			}
			require.NoError(t, err)
			require.NoError(t, updateErr)
			require.Equal(t, c.seconds, made.Details().Cluster.IdleSeconds)
			require.Equal(t, c.seconds, updated.Details().Cluster.IdleSeconds)
			require.NoError(t, ws.Compute().Delete(t.Context(), "other", nil))
		})
	}
	updated, err := ws.Compute().Update(t.Context(), "pool", &compute.UpdateOptions{IdleBeforeScaleDown: new(time.Duration(0))})
	require.NoError(t, err)
	require.Zero(t, updated.Details().Cluster.IdleSeconds)
}

// TestUpdateOfNothing writes no record and no line of the audit log.
func TestUpdateOfNothing(t *testing.T) {
	t.Parallel()
	ws := withTargets(t)
	pool(t, ws)
	audited := func() (n int) {
		for _, err := range ws.Audit(t.Context(), nil) {
			require.NoError(t, err)
			n++
		}
		return n
	}
	const key = "compute/pool.json"
	before, err := workspace.Handle(ws).Objects().Stat(t.Context(), key)
	require.NoError(t, err)
	lines := audited()
	for name, opts := range map[string]*compute.UpdateOptions{
		"no options":      nil,
		"nothing":         {},
		"what is so":      {MinNodes: new(1), MaxNodes: new(3), IdleBeforeScaleDown: new(compute.DefaultIdle)},
		"a part of it":    {MinNodes: new(1)},
		"the same number": {MaxNodes: new(3)},
	} {
		_, err := ws.Compute().Update(t.Context(), "pool", opts)
		require.NoError(t, err, name)
	}
	after, err := workspace.Handle(ws).Objects().Stat(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.Equal(t, lines, audited())
	_, err = ws.Compute().Update(t.Context(), "pool", &compute.UpdateOptions{MaxNodes: new(2)})
	require.NoError(t, err)
	require.Equal(t, lines+1, audited())
}

// TestStatusHasAzureMLsNames says in JSON what Azure ML does, by the same names.
func TestStatusHasAzureMLsNames(t *testing.T) {
	t.Parallel()
	ws := withTargets(t)
	target := pool(t, ws)
	schedulerSays(t, ws, record.ClusterNode{ID: "red/0", State: "running"}, record.ClusterNode{ID: "red/1", State: "unusable", Reason: "it does not answer"},
		record.ClusterNode{ID: "blue/0", State: "preparing"})
	status, err := target.Status(t.Context(), nil)
	require.NoError(t, err)
	text, err := json.Marshal(status)
	require.NoError(t, err)
	var named map[string]any
	require.NoError(t, json.Unmarshal(text, &named))
	require.Equal(t, map[string]any{"runningNodeCount": 1., "unusableNodeCount": 1., "preparingNodeCount": 1.}, named["nodeStateCounts"])
	require.Equal(t, 1., named["currentNodeCount"])
	require.Equal(t, 2., named["targetNodeCount"])
	require.Equal(t, []any{"node red/1: it does not answer"}, named["errors"])
	require.Equal(t, 1800., named["idleSecondsBeforeScaledown"])
	var back compute.ClusterStatus
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, status.NodeStateCounts, back.NodeStateCounts)
}

func TestWaitForNodes(t *testing.T) {
	t.Parallel()
	ws := withTargets(t)
	target := pool(t, ws)
	idle := record.ClusterNode{ID: "red/0", State: "idle"}
	wait := func(nodes int) error {
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		return target.Wait(ctx, &compute.WaitOptions{MinNodes: nodes})
	}
	err := wait(2)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "0 of 2 nodes are started")
	waited := make(chan error, 1)
	go func() { waited <- target.Wait(t.Context(), nil) }()
	schedulerSays(t, ws, idle, record.ClusterNode{ID: "red/1", State: "preparing"})
	require.NoError(t, <-waited, "the cluster's minimum is one")
	require.NoError(t, wait(1))
	require.ErrorIs(t, wait(2), context.DeadlineExceeded)
	schedulerSays(t, ws, idle, record.ClusterNode{ID: "red/1", State: "unusable", Reason: "it does not answer"})
	err = wait(2)
	require.ErrorIs(t, err, azml.ErrFailed)
	require.ErrorContains(t, err, "node red/1: it does not answer")
	require.NoError(t, wait(1))
	require.ErrorIs(t, wait(4), azml.ErrInvalid)
	require.ErrorIs(t, wait(-1), azml.ErrInvalid)
	require.NoError(t, target.Stop(t.Context(), nil))
	require.ErrorIs(t, wait(2), azml.ErrConflict)
	require.NoError(t, wait(1), "it is so")
	red, err := ws.Compute().Get(t.Context(), "red", nil)
	require.NoError(t, err)
	require.ErrorIs(t, red.Wait(t.Context(), nil), azml.ErrInvalid)
}

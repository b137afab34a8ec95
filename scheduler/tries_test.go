//go:build linux

package scheduler_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	azmlerrors "github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/scheduler"
	"github.com/azml-go/azml/workspace"
)

// restarting is an engine that is being started anew: it answers, and ends whatever is
// started, so many times.
type restarting struct {
	mu    sync.Mutex
	fails int
	tries []time.Time
}

func (r *restarting) start(ctx context.Context, target backend.OpenedCompute, job backend.Job) error {
	r.mu.Lock()
	r.tries = append(r.tries, time.Now())
	fails := len(r.tries) <= r.fails
	r.mu.Unlock()
	if fails {
		return fmt.Errorf("%w: the engine is being started anew", azmlerrors.ErrUnavailable)
	}
	return target.Start(ctx, job)
}

// TestTriesHavePauses has a run lose its nodes before it begins, with other nodes free: it
// tries again after pauses that grow.
func TestTriesHavePauses(t *testing.T) {
	t.Parallel()
	engine := &restarting{fails: 3}
	ws := openBox(t, &workspacetest.Processes{Start: engine.start}, 4)
	r := submit(t, ws, "churn", "true", nil)
	schedule(t, ws)
	require.NoError(t, r.Wait(t.Context(), nil))
	engine.mu.Lock()
	tries := engine.tries
	engine.mu.Unlock()
	require.Len(t, tries, 4)
	for i := range 3 {
		require.GreaterOrEqual(t, tries[i+1].Sub(tries[i]), record.TryPause(i+2), "before try %d", i+2)
	}
	var said []string
	for _, c := range r.Details().History {
		if c.Status == run.StatusQueued && c.Reason != "" {
			said = append(said, c.Reason)
		}
	}
	require.Contains(t, said[len(said)-1], "the engine is being started anew; try 4 of 10 follows after 4s")
}

// openBox opens a new workspace with a cluster "pool" of nodes of one target.
func openBox(t *testing.T, driver backend.ComputeDriver, nodes int) *workspace.Workspace {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { testenv.KillProcessesAbout(dir) }) // as open does
	file, err := azml()
	require.NoError(t, err)
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "key"),
		Computes: []backend.ComputeDriver{driver}, Program: file})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		require.NoError(t, ws.Close(ctx))
	})
	_, err = ws.Compute().Create(t.Context(), "box", process.Target{Dir: filepath.Join(dir, "box"), CacheDir: filepath.Join(dir, "box-cache")}, nil)
	require.NoError(t, err)
	_, err = ws.Compute().Create(t.Context(), "pool", compute.Cluster{Members: []compute.Member{{Target: "box", Nodes: nodes}}}, nil)
	require.NoError(t, err)
	return ws
}

// TestJobsThatNeverEnd has a node answer on which an agent can't be ended that had a run
// before, or was to: the run has another node, and that one has no run, and says why, until
// the job is gone.
func TestJobsThatNeverEnd(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*record.Run){
		"it had the run":    func(r *record.Run) { r.Agent.Adopted = true; r.Requeue() },
		"it was to have it": func(*record.Run) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			jobNeverEnds(t, change)
		})
	}
}

func jobNeverEnds(t *testing.T, change func(*record.Run)) {
	var gone atomic.Bool
	ws := openBox(t, &workspacetest.Processes{Cancel: func(ctx context.Context, target backend.OpenedCompute, id string, grace time.Duration) error {
		if id != "agent-old" || gone.Load() {
			return target.Cancel(ctx, id, grace)
		}
		<-ctx.Done()
		return ctx.Err()
	}}, 2)
	r := submit(t, ws, "churn", "true", nil)
	h := workspace.Handle(ws)
	_, err := history.Update(t.Context(), h, r.ID(), core.Quiet, func(rec *record.Run) error {
		rec.Agent = &record.Agent{Job: "agent-old", Nodes: []string{"box/0"}}
		change(rec)
		return nil
	})
	require.NoError(t, err)
	o := scheduler.TakenAfter(fast, 10*time.Second)
	end := scheduleFor(t, ws, o)
	require.NoError(t, r.Wait(t.Context(), nil))
	stored, err := history.Get(t.Context(), h, r.ID())
	require.NoError(t, err)
	require.Equal(t, []string{"box/1"}, stored.Value.Agent.Nodes)
	end()
	became := func(state string) compute.Node {
		t.Helper()
		n := status(t, ws).Nodes[0]
		require.Equal(t, state, n.NodeState, n.Reason)
		require.Empty(t, n.RunID)
		return n
	}
	require.Contains(t, became("unusable").Reason, "the job agent-old")

	start := func() {
		preparing := record.ClusterNode{ID: "box/0", State: "preparing", Spares: []string{"agent-old"}}
		require.NoError(t, core.PutQuiet(t.Context(), h, compute.StateRef("pool").Key, record.ClusterState{Scheduler: h.Owner().ID, Nodes: []record.ClusterNode{preparing}}))
		scheduler.StartNode(t.Context(), h, "pool", o, preparing)
	}
	start()
	became("unusable")
	gone.Store(true)
	start()
	became("idle")
}

// TestCanceledThatCanNotBeEnded has a run that was canceled, while the jobs of its agent go
// on whatever is done about them: its node is given back, and has no run, and says why.
func TestCanceledThatCanNotBeEnded(t *testing.T) {
	t.Parallel()
	ws := openBox(t, &workspacetest.Processes{Cancel: func(ctx context.Context, target backend.OpenedCompute, id string, grace time.Duration) error {
		if id != "agent-old" {
			return target.Cancel(ctx, id, grace)
		}
		<-ctx.Done()
		return ctx.Err()
	}}, 2)
	h := workspace.Handle(ws)
	old := submit(t, ws, "churn", "true", nil)
	_, err := history.Update(t.Context(), h, old.ID(), core.Quiet, func(r *record.Run) error {
		r.Status, r.Agent = record.Canceled, &record.Agent{Job: "agent-old", Adopted: true, Nodes: []string{"box/0"}}
		return nil
	})
	require.NoError(t, err)
	node := record.ClusterNode{ID: "box/0", State: "running", Run: old.ID()}
	require.NoError(t, core.PutQuiet(t.Context(), h, compute.StateRef("pool").Key, record.ClusterState{Nodes: []record.ClusterNode{node}}))
	t.Cleanup(scheduleFor(t, ws, scheduler.TakenAfter(fast, 10*time.Second)))
	next := submit(t, ws, "churn", "true", nil)
	require.NoError(t, next.Wait(t.Context(), nil))
	eventually(t, ws, "its node is unusable", func(s compute.ClusterStatus) bool { return s.Nodes[0].NodeState == "unusable" })
	n := status(t, ws).Nodes[0]
	require.Empty(t, n.RunID)
	require.Contains(t, n.Reason, "the job agent-old")
}

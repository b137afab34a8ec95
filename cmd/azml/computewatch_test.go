package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/workspace"
)

// busyCluster is a cluster with something in each section, at that time.
func busyCluster() (compute.ClusterStatus, time.Time) {
	now := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	s := compute.ClusterStatus{AllocationState: compute.Resizing, CurrentNodeCount: 3, MinNodes: 1, MaxNodes: 8, Priority: compute.LowPriority, Scheduler: "desk", Heard: ago(time.Second),
		NodeStateCounts: map[string]int{"idle": 1, "off": 3, "preempted": 1, "preparing": 1, "running": 2},
		Nodes: []compute.Node{
			{NodeID: "blue/0", NodeState: "running", Since: ago(62 * time.Second), RunID: "sweep_1764000000_1f2e3d4c", Reason: "its turn"},
			{NodeID: "blue/1", NodeState: "running", Since: ago(time.Hour), RunID: "gang", Reason: "its turn"},
			{NodeID: "blue/2", NodeState: "idle", Since: ago(9 * time.Second), Reason: "started"},
			{NodeID: "red/0", NodeState: "preparing", Since: ago(3 * time.Second), Reason: "2 nodes are wanted by runs that wait, 1 are free or being started"},
			{NodeID: "red/1", NodeState: "preempted", Since: ago(time.Minute), Reason: "service unavailable: no answer\x1b[2J\nof 10.0.0.7"},
			{NodeID: "red/2", NodeState: "off"}, {NodeID: "red/3", NodeState: "off"}, {NodeID: "red/4", NodeState: "off"},
		}}
	for i := range 30 {
		s.Queue = append(s.Queue, compute.QueuedRun{RunID: fmt.Sprintf("sweep_1764000000_%08x", i), Experiment: "sweep", NodeCount: 1 + i%2, Priority: i % 3,
			Queued: ago(time.Duration(i) * time.Minute), WaitsFor: "it needs 2 nodes: 1 free, 1 being started"})
		s.Events = append(s.Events, compute.Event{Time: ago(time.Duration(30-i) * time.Second), What: fmt.Sprintf("place trial-%d", i), Reason: "its turn; sweep has 2 other nodes"})
	}
	return s, now
}

func TestPageOfACluster(t *testing.T) {
	t.Parallel()
	busy, now := busyCluster()
	quiet := busy
	quiet.AllocationState, quiet.Queue, quiet.Events, quiet.Heard = compute.Steady, nil, nil, now.Add(-2*time.Minute)
	unscheduled := quiet
	unscheduled.Scheduler, unscheduled.Nodes, unscheduled.NodeStateCounts = "", nil, nil
	stopped := quiet
	stopped.Stopped = true
	for name, p := range map[string]clusterPage{
		"wide":        {status: busy, width: 120, height: 40},
		"usual":       {status: busy, width: 80, height: 24},
		"small":       {status: busy, width: 40, height: 14, trouble: "unavailable: the store\x1b[2J"},
		"quiet":       {status: quiet, width: 100, height: 24},
		"unscheduled": {status: unscheduled, width: 80, height: 10},
		"stopped":     {status: stopped, width: 80, height: 12},
		"colors":      {status: busy, width: 80, height: 16, style: terminal.Style{Unicode: true, Color: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p.name, p.now, p.heardAt = "pool", now, p.status.Heard
			p.draw()
			golden(t, "cluster-"+name, strings.Join(p.lines, "\n")+"\n")
		})
	}
}

func TestPageOfAClusterFitsEverySize(t *testing.T) {
	t.Parallel()
	busy, now := busyCluster()
	for width := 1; width <= 130; width += 3 {
		for height := 1; height <= 50; height++ {
			p := clusterPage{name: "pool", status: busy, heardAt: now, trouble: "trouble", width: width, height: height, now: now}
			p.draw()
			require.LessOrEqual(t, len(p.lines), height)
			for _, line := range p.lines {
				require.LessOrEqual(t, terminal.Width(line), width, "%q", line)
				require.NotContains(t, line, "\x1b")
			}
		}
	}
}

// TestClockOfAStoreThatIsWrong is no silence of the scheduler's.
func TestClockOfAStoreThatIsWrong(t *testing.T) {
	t.Parallel()
	s, now := busyCluster()
	s.Heard = now.Add(-time.Hour)
	p := &clusterPage{name: "pool", status: s, heardAt: now, width: 100, height: 24}
	drawn := func(after time.Duration) string {
		p.now, p.lines = now.Add(after), nil
		p.draw()
		return strings.Join(p.lines, "\n")
	}
	require.NotContains(t, drawn(29*time.Second), "Nothing heard")
	require.NoError(t, p.take(clusterLook{status: s}, now.Add(29*time.Second)))
	require.Contains(t, drawn(31*time.Second), "Nothing heard of the scheduler on desk for 31s")
	s.Heard = s.Heard.Add(10 * time.Second)
	require.NoError(t, p.take(clusterLook{status: s}, now.Add(31*time.Second)))
	require.NotContains(t, drawn(60*time.Second), "Nothing heard")
}

// hangingObjects is a store that can be made to hang.
type hangingObjects struct {
	backend.Objects
	hangs atomic.Bool
	hung  chan struct{} // has an item when something hangs
}

// Get hangs until ctx ends.
func (o *hangingObjects) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if !o.hangs.Load() {
		return o.Objects.Get(ctx, key, opts)
	}
	select {
	case o.hung <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestLeavingAClusterWhoseStoreHangs needs one key.
func TestLeavingAClusterWhoseStoreHangs(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("pseudo-terminals are Unix's")
	}
	store := &hangingObjects{Objects: memory.NewObjects(), hung: make(chan struct{}, 1)}
	ws, err := workspace.Create(t.Context(), workspace.Config{Objects: store, Secrets: memory.NewSecrets(), Name: "hanging", CacheDir: t.TempDir(), Computes: computeDrivers()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	_, err = ws.Compute().Create(t.Context(), "box", process.Target{Dir: t.TempDir()}, nil)
	require.NoError(t, err)
	_, err = ws.Compute().Create(t.Context(), "pool", compute.Cluster{Members: []compute.Member{{Target: "box"}}}, nil)
	require.NoError(t, err)
	s, err := clusterStatus(t.Context(), ws, "pool")
	require.NoError(t, err)

	master, slave, err := pty.Open()
	require.NoError(t, err)
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, master) })
	t.Cleanup(func() {
		require.NoError(t, slave.Close())
		require.NoError(t, master.Close())
		reading.Wait()
	})
	for _, key := range []string{"q", string(rune(terminal.CtrlC))} {
		store.hangs.Store(true)
		left := make(chan error, 1)
		go func() {
			a := &app{stdin: slave, stdout: slave, stderr: slave, output: outputTable}
			left <- a.clusterScreen(t.Context(), ws, &clusterPage{name: "pool", status: s}, slave)
		}()
		<-store.hung
		_, err = master.WriteString(key)
		require.NoError(t, err)
		require.NoError(t, <-left)
	}
	store.hangs.Store(false)
}

// TestNewEvents also has the oldest forgotten meanwhile.
func TestNewEvents(t *testing.T) {
	t.Parallel()
	all := []compute.Event{{What: "a"}, {What: "b"}, {What: "c"}}
	require.Equal(t, all, newEvents(nil, all))
	require.Empty(t, newEvents(all, all))
	require.Equal(t, all[2:], newEvents(all[:2], all))
	require.Equal(t, all[2:], newEvents(all[:2], all[1:]))
	require.Equal(t, all[2:], newEvents(all[:1], all[2:]))
}

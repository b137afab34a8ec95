package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	nodes "github.com/azml-go/azml/backend/cluster"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scheduler"
	"github.com/azml-go/azml/internal/workspacetest"
)

// clocked gives a process that has the store and a clock that is so much off.
func clocked(t *testing.T, objects *memory.Objects, off time.Duration) core.Handle {
	t.Helper()
	h := core.New(core.Config{Objects: objects, Secrets: memory.NewSecrets(), CacheDir: t.TempDir(), Now: func() time.Time { return time.Now().Add(off) }})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	return h
}

// pool makes a cluster of a target that nobody has attached: nodes are given, and
// nothing runs on them.
func pool(t *testing.T, h core.Handle, nodes int) {
	t.Helper()
	_, err := core.CreateQuiet(t.Context(), h, "compute/pool.json", record.Compute{Name: "pool", Type: string(compute.TypeCluster), State: "Succeeded",
		Cluster: &record.Cluster{MaxNodes: nodes, IdleSeconds: 1800, Members: []record.ClusterMember{{Target: "box", Nodes: nodes}}}})
	require.NoError(t, err)
}

// enqueue queues a run as its submitter does, who may be ended before it is there.
func enqueue(t *testing.T, h core.Handle, id string, nodes int, submitted bool) {
	t.Helper()
	_, err := core.CreateQuiet(t.Context(), h, compute.EntryRef("pool", id).Key, record.QueuedRun{RunID: id, Experiment: "e", Nodes: nodes})
	require.NoError(t, err)
	if submitted {
		come(t, h, id)
	}
}

func come(t *testing.T, h core.Handle, id string) {
	t.Helper()
	_, err := core.CreateQuiet(t.Context(), h, history.Ref(id).Key, record.Run{ID: id, Experiment: "e", Status: record.Queued})
	require.NoError(t, err)
}

// read reads the queue and gives the IDs of the runs that wait, the oldest first.
func (c *cluster) waitingNow(t *testing.T) (ids []string) {
	t.Helper()
	require.NoError(t, c.readQueue(t.Context()))
	for _, r := range c.waiting(&record.ClusterState{}) {
		ids = append(ids, r.ID)
	}
	return ids
}

// TestEntriesWithoutRuns have no turn, and are given up after a while.
func TestEntriesWithoutRuns(t *testing.T) {
	t.Parallel()
	h := clocked(t, memory.NewObjects(), 0)
	pool(t, h, 1)
	c := newCluster(h, "pool", Options{TakeOver: time.Hour, abandon: time.Hour, takenAfter: time.Hour})
	enqueue(t, h, "a", 1, false)
	enqueue(t, h, "b", 1, true)
	require.Equal(t, []string{"b"}, c.waitingNow(t), "it holds nobody up")
	come(t, h, "a")
	require.ElementsMatch(t, []string{"a", "b"}, c.waitingNow(t), "it comes late")

	enqueue(t, h, "c", 1, false)
	require.NoError(t, c.readQueue(t.Context()))
	require.NoError(t, c.giveUp(t.Context()))
	_, err := h.Objects().Stat(t.Context(), compute.EntryRef("pool", "c").Key)
	require.NoError(t, err, "not yet")
	c.opts.abandon = -time.Second
	require.NoError(t, c.giveUp(t.Context()))
	_, err = h.Objects().Stat(t.Context(), compute.EntryRef("pool", "c").Key)
	require.ErrorIs(t, err, azml.ErrNotFound)
	for _, id := range []string{"a", "b"} {
		_, err := h.Objects().Stat(t.Context(), compute.EntryRef("pool", id).Key)
		require.NoError(t, err, "whose run is there waits for as long as it takes")
	}

	enqueue(t, h, "d", 1, false)
	require.NoError(t, c.readQueue(t.Context()))
	come(t, h, "d") // while it is given up, and the submitter is killed before it looks
	require.NoError(t, c.giveUp(t.Context()))
	require.ElementsMatch(t, []string{"a", "b", "d"}, c.waitingNow(t))
}

// TestEvents: of what becomes of nodes the last is kept, however many runs get nodes since.
func TestEvents(t *testing.T) {
	t.Parallel()
	var s record.ClusterState
	event(&s, time.Now(), "start box/0", "a run waits")
	for i := range 1000 {
		event(&s, time.Now(), fmt.Sprintf("place %d on box/0", i), "it is its turn")
	}
	require.Equal(t, "start box/0", s.Events[0].What)
	require.Len(t, s.Events, 101)
	require.Equal(t, "place 900 on box/0", s.Events[1].What)
	require.Equal(t, "place 999 on box/0", s.Events[100].What)
	for range 100 {
		event(&s, time.Now(), "stop box/0", "nothing waits")
	}
	require.Len(t, s.Events, 200)
	require.Equal(t, "place 900 on box/0", s.Events[0].What)
}

// TestClocksThatAreOff has schedulers and submitters with clocks that are an hour
// ahead or behind: all times that count are the store's, and one schedules.
func TestClocksThatAreOff(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	ahead, behind, right := clocked(t, objects, time.Hour), clocked(t, objects, -time.Hour), clocked(t, objects, 0)
	pool(t, right, 4)
	enqueue(t, ahead, "first", 4, true) // a gang, whose time to be let go first by others is counted
	enqueue(t, behind, "second", 1, true)
	began := time.Now()
	near := func(what string, at time.Time) {
		t.Helper()
		require.WithinRange(t, at, began.Add(-time.Minute), time.Now().Add(time.Minute), what)
	}
	var schedulers []*cluster
	for _, h := range []core.Handle{ahead, behind} {
		c := newCluster(h, "pool", Options{TakeOver: time.Hour, abandon: time.Hour, takenAfter: time.Hour})
		require.NoError(t, c.readQueue(t.Context()))
		schedulers = append(schedulers, c)
	}
	target, err := core.Get[record.Compute](t.Context(), right, "compute/pool.json")
	require.NoError(t, err)
	decisions, state, err := schedulers[0].decide(t.Context(), target.Value)
	require.NoError(t, err)
	require.NotEmpty(t, decisions)
	_, _, err = schedulers[1].decide(t.Context(), target.Value)
	require.ErrorIs(t, err, errElsewhere, "its clock says that nothing was heard for two hours")
	for _, n := range state.Nodes {
		near("node", n.Since)
	}
	for _, e := range state.Events {
		near("event", e.Time)
	}
	for _, c := range schedulers {
		for _, r := range c.waiting(&state) {
			near("queued "+r.ID, r.Queued)
		}
	}
	// The other one takes over: for it, too, nothing is older than it is.
	schedulers[1].opts.TakeOver = time.Nanosecond
	time.Sleep(time.Millisecond)
	decisions, state, err = schedulers[1].decide(t.Context(), target.Value)
	require.NoError(t, err)
	require.Empty(t, decisions, "all nodes are being started")
	require.Equal(t, behind.Owner().ID, state.Scheduler)
	for _, n := range state.Nodes {
		schedulers[1].become(t.Context(), n.ID, "preparing", "idle", "started")
	}
	decisions, state, err = schedulers[1].decide(t.Context(), target.Value)
	require.NoError(t, err)
	require.Len(t, decisions, 1)
	require.Equal(t, "first", decisions[0].Run, "who was first is first, whatever the submitters' clocks say")
	near("served", state.Served[0].Time)
	_, _, err = schedulers[0].decide(t.Context(), target.Value)
	require.ErrorIs(t, err, errElsewhere)
	before, err := core.Get[record.ClusterState](t.Context(), right, compute.StateRef("pool").Key)
	require.NoError(t, err)
	for _, n := range state.Nodes {
		schedulers[0].become(t.Context(), n.ID, "running", "idle", "an old scheduler says so")
	}
	now, err := core.Get[record.ClusterState](t.Context(), right, compute.StateRef("pool").Key)
	require.NoError(t, err)
	require.Equal(t, before.ETag, now.ETag, "who does not schedule any more changes nothing")
}

// TestNodesThatFailBeforeTheAgentHasTheRun are taken from the run: it waits for others,
// and can be canceled as if nobody had begun it.
func TestNodesThatFailBeforeTheAgentHasTheRun(t *testing.T) {
	t.Parallel()
	h := clocked(t, memory.NewObjects(), 0)
	pool(t, h, 1) // of a target that nobody has attached
	c := newCluster(h, "pool", Options{TakeOver: time.Hour, abandon: time.Hour, takenAfter: time.Hour})
	for before, after := range map[record.Status]record.Status{record.Queued: record.Queued, record.CancelRequested: record.Canceled} {
		id := string(before)
		_, err := core.CreateQuiet(t.Context(), h, history.Ref(id).Key, record.Run{ID: id, Experiment: "e", Status: before, Agent: &record.Agent{Job: "agent-old", Nodes: []string{"box/0"}}})
		require.NoError(t, err)
		stored, err := history.Get(t.Context(), h, id)
		require.NoError(t, err)
		nodes := []string{"box/0"}
		why := c.start(t.Context(), record.Cluster{Members: []record.ClusterMember{{Target: "box", Nodes: 1}}}, stored.Value, nodes)
		require.ErrorIs(t, why, azml.ErrNotFound)
		_, err = c.takenAway(t.Context(), id, nodes, why)
		require.NoError(t, err)
		stored, err = history.Get(t.Context(), h, id)
		require.NoError(t, err)
		require.Equal(t, after, stored.Value.Status)
		if after == record.Queued {
			require.Nil(t, stored.Value.Agent)
			require.Equal(t, "agent-old", stored.Value.Former.Job, "it is ended before another one begins")
		}
	}
}

// TestNodesOfNoMember are forgotten when they are off, such as those of a cluster that
// had the name before.
func TestNodesOfNoMember(t *testing.T) {
	t.Parallel()
	off, running := string(scheduler.Off), string(scheduler.Running)
	s := record.ClusterState{Nodes: []record.ClusterNode{{ID: "old/0", State: off}, {ID: "old/1", State: running}, {ID: "box/0", State: off}}}
	settings := record.Cluster{Members: []record.ClusterMember{{Target: "box", Nodes: 1}}}
	require.True(t, setMembers(&s, settings, time.Now()))
	require.Len(t, s.Nodes, 2)
	require.Equal(t, "old/1", s.Nodes[0].ID, "it has a run")
	require.False(t, setMembers(&s, settings, time.Now()))
}

// TestEndedRunsOnNodes have nodes anew, as their entries were in the queue still: their
// agents are ended on the nodes that they had last, and on no others, where they may have
// other runs by now.
func TestEndedRunsOnNodes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		placed   string
		canceled int64
	}{"the same": {"box/0", 1}, "another": {"box/1", 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var canceled atomic.Int64
			driver := &workspacetest.Processes{Cancel: func(ctx context.Context, target backend.OpenedCompute, id string, grace time.Duration) error {
				canceled.Add(1)
				return target.Cancel(ctx, id, grace)
			}}
			h := core.New(core.Config{Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), CacheDir: t.TempDir(), Computes: []backend.ComputeDriver{driver}})
			t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
			pool(t, h, 2)
			_, err := compute.NewClient(h).Create(t.Context(), "box", process.Target{Dir: t.TempDir(), CacheDir: t.TempDir()}, nil)
			require.NoError(t, err)
			_, err = core.CreateQuiet(t.Context(), h, history.Ref("a").Key, record.Run{ID: "a", Experiment: "e", Status: record.Completed,
				Agent: &record.Agent{Job: "agent-a", Nodes: []string{"box/0"}, Adopted: true}})
			require.NoError(t, err)
			_, err = core.CreateQuiet(t.Context(), h, compute.StateRef("pool").Key, record.ClusterState{Nodes: []record.ClusterNode{{ID: test.placed, State: string(scheduler.Running), Run: "a"}}})
			require.NoError(t, err)
			c := newCluster(h, "pool", Options{TakeOver: time.Hour, abandon: time.Hour, takenAfter: time.Hour})
			over, left, err := c.keep(t.Context(), record.Cluster{}, "a", []string{test.placed})
			require.NoError(t, err)
			require.True(t, over)
			require.Equal(t, test.canceled, canceled.Load())
			require.Equal(t, test.canceled > 0, len(left) > 0, "a node that does not answer has its agent still")
		})
	}
}

// TestAgentsThatAreLeft on nodes are noted there, whether those answer or not, to be ended.
func TestAgentsThatAreLeft(t *testing.T) {
	t.Parallel()
	a := &record.Agent{Job: "agent-a", Nodes: []string{"box/0", "box/1"}}
	settings := record.Cluster{Members: []record.ClusterMember{{Target: "box", Nodes: 2}}} // which nobody has attached
	for name, test := range map[string]struct {
		run  record.Run
		left []*record.Agent
		bad  unfit
		then []scheduler.State
	}{
		"nodes that are gone": {record.Run{Status: record.Queued, Former: a}, nil, nil, []scheduler.State{scheduler.Unusable, scheduler.Unusable}},
		"it was taken away":   {record.Run{Status: record.Failed, Agent: a}, []*record.Agent{nil, a}, nil, []scheduler.State{scheduler.Idle, scheduler.Idle}}, // and was to be canceled
		"canceled since":      {record.Run{Status: record.Canceled, Former: a}, nil, nil, []scheduler.State{scheduler.Idle, scheduler.Idle}},
		"one is unfit":        {record.Run{Status: record.Canceled}, []*record.Agent{a, nil}, unfit{"box/0": azml.ErrFailed}, []scheduler.State{scheduler.Unusable, scheduler.Idle}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := clocked(t, memory.NewObjects(), 0)
			c := newCluster(h, "pool", Options{TakeOver: time.Hour, abandon: time.Hour, takenAfter: time.Hour})
			test.run.ID, test.run.Experiment = "a", "e"
			_, err := core.CreateQuiet(t.Context(), h, history.Ref("a").Key, test.run)
			require.NoError(t, err)
			done := make(chan struct{})
			go func() { defer close(done); c.free(t.Context(), settings, "a", a.Nodes, test.left, test.bad) }()
			<-c.wake
			over := c.takeFreed()
			s := record.ClusterState{Nodes: []record.ClusterNode{{ID: "box/0", State: string(scheduler.Running), Run: "a", Spares: []string{"agent-z"}}, {ID: "box/1", State: string(scheduler.Running), Run: "a"}}}
			require.True(t, over.apply(&s, settings, c.spares, time.Now()))
			over.noted()
			<-done
			for i, n := range s.Nodes {
				require.Equal(t, string(test.then[i]), n.State)
				require.Contains(t, n.Spares, nodes.JobID("agent-a", i))
			}
			require.Contains(t, s.Nodes[0].Spares, "agent-z", "whose end before the run began nobody has noted")
		})
	}
}

// TestStartsOfASchedulerThatSlept reach nobody else's nodes: meanwhile the run has lost its
// own, or was begun elsewhere and is to be begun anew.
func TestStartsOfASchedulerThatSlept(t *testing.T) {
	t.Parallel()
	h := clocked(t, memory.NewObjects(), 0)
	c := newCluster(h, "pool", Options{TakeOver: time.Hour, abandon: time.Hour, takenAfter: time.Hour})
	running := string(scheduler.Running)
	_, err := core.CreateQuiet(t.Context(), h, compute.StateRef("pool").Key, record.ClusterState{Nodes: []record.ClusterNode{
		{ID: "box/0", State: running, Run: "b"}, {ID: "box/1", State: running, Run: "lost"}, {ID: "box/2", State: running, Run: "anew"}}})
	require.NoError(t, err)
	former := &record.Agent{Job: "agent-former", Nodes: []string{"box/0"}}
	for _, now := range []record.Run{{ID: "lost"}, {ID: "anew", Former: former}} {
		read := record.Run{ID: now.ID, Experiment: "e", Status: record.Queued, Definition: &record.Definition{Compute: "pool"}}
		now.Experiment, now.Status, now.Definition = read.Experiment, read.Status, read.Definition
		_, err := core.CreateQuiet(t.Context(), h, history.Ref(now.ID).Key, now)
		require.NoError(t, err)
		require.ErrorIs(t, c.startOn(t.Context(), record.Cluster{}, read, []string{"box/0"}, nil), azml.ErrConflict)
		stored, err := history.Get(t.Context(), h, now.ID)
		require.NoError(t, err)
		require.Equal(t, now.Former, stored.Value.Former, "it is ended before another agent begins")
		require.Equal(t, record.Queued, stored.Value.Status)
	}
	_, err = core.CreateQuiet(t.Context(), h, history.Ref("goes-on").Key, record.Run{ID: "goes-on", Experiment: "e", Status: record.Running,
		Agent: &record.Agent{Job: "agent-c", Nodes: []string{"box/3"}, Adopted: true}})
	require.NoError(t, err)
	c.drive(t.Context(), record.Cluster{}, "goes-on", []string{"box/0"}) // does not try for ever
}

// racing is a store in which something else is done before a record is written, or after
// it was deleted.
type racing struct {
	backend.Objects
	before func(key string)
	after  func(key string, err error) error
}

func (r *racing) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	err := r.Objects.Delete(ctx, key, opts)
	if r.after != nil {
		return r.after(key, err)
	}
	return err
}

func (r *racing) Put(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if r.before != nil {
		r.before(key)
	}
	return r.Objects.Put(ctx, key, c, opts)
}

// TestAgentsThatGetTheRunMeanwhile keep it and its nodes, until it is taken from them.
func TestAgentsThatGetTheRunMeanwhile(t *testing.T) {
	t.Parallel()
	for before, after := range map[record.Status]record.Status{record.Queued: record.Queued, record.CancelRequested: record.Failed} {
		t.Run(string(before), func(t *testing.T) {
			t.Parallel()
			store := &racing{Objects: memory.NewObjects()}
			h := core.New(core.Config{Objects: store, Secrets: memory.NewSecrets(), CacheDir: t.TempDir()})
			t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
			nodes := []string{"box/0"}
			_, err := core.CreateQuiet(t.Context(), h, history.Ref("a").Key, record.Run{ID: "a", Experiment: "e", Status: before,
				Definition: &record.Definition{Compute: "pool"}, Agent: &record.Agent{Job: "agent-a", Nodes: nodes, Requeue: true}})
			require.NoError(t, err)
			store.before = func(key string) {
				if key != history.Ref("a").Key {
					return
				}
				store.before = nil
				_, err := history.Update(t.Context(), h, "a", core.Quiet, func(r *record.Run) error {
					r.Owner, r.Agent.Adopted = &record.Owner{ID: "agent"}, true
					return nil
				})
				require.NoError(t, err)
			}
			c := newCluster(h, "pool", Options{TakeOver: time.Hour, abandon: time.Hour, takenAfter: time.Hour})
			_, err = c.takenAway(t.Context(), "a", nodes, azml.ErrUnavailable)
			require.ErrorIs(t, err, azml.ErrConflict)
			left, err := c.takenAway(t.Context(), "a", nodes, azml.ErrUnavailable)
			require.NoError(t, err)
			require.Equal(t, "agent-a", left[1].Job)
			stored, err := history.Get(t.Context(), h, "a")
			require.NoError(t, err)
			require.Equal(t, after, stored.Value.Status)
		})
	}
}

// TestAgentsThatGetTheRunOnUnfitNodes keep those: what is found out there is about another
// beginning.
func TestAgentsThatGetTheRunOnUnfitNodes(t *testing.T) {
	t.Parallel()
	store := &racing{Objects: memory.NewObjects()}
	h := core.New(core.Config{Objects: store, Secrets: memory.NewSecrets(), CacheDir: t.TempDir()})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	nodes := []string{"box/0"} // of a target that nobody has attached
	_, err := core.CreateQuiet(t.Context(), h, compute.StateRef("pool").Key, record.ClusterState{Nodes: []record.ClusterNode{{ID: "box/0", State: string(scheduler.Running), Run: "a"}}})
	require.NoError(t, err)
	_, err = core.CreateQuiet(t.Context(), h, history.Ref("a").Key, record.Run{ID: "a", Experiment: "e", Status: record.Queued,
		Definition: &record.Definition{Compute: "pool"}, Agent: &record.Agent{Job: "agent-a", Nodes: nodes}})
	require.NoError(t, err)
	store.before = func(key string) {
		if key != history.Ref("a").Key {
			return
		}
		store.before = nil
		_, err := history.Update(t.Context(), h, "a", core.Quiet, func(r *record.Run) error {
			r.Owner, r.Agent.Adopted = &record.Owner{ID: "agent"}, true
			return nil
		})
		require.NoError(t, err)
		require.NoError(t, h.Objects().Delete(t.Context(), compute.StateRef("pool").Key, &backend.DeleteOptions{})) // ends the next try
	}
	c := newCluster(h, "pool", Options{TakeOver: time.Hour, abandon: time.Hour, takenAfter: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	driven := make(chan struct{})
	go func() { defer close(driven); c.drive(ctx, record.Cluster{}, "a", nodes) }()
	select {
	case <-driven:
	case <-c.wake:
		t.Error("nodes on which the run is were freed")
	}
	cancel()
	<-driven
	stored, err := history.Get(t.Context(), h, "a")
	require.NoError(t, err)
	require.Equal(t, "agent-a", stored.Value.Agent.Job)
}

// TestIDsThatAreUsedAgain while the entry of the run that had it is removed: the next run
// waits for its turn.
func TestIDsThatAreUsedAgain(t *testing.T) {
	t.Parallel()
	store := &racing{Objects: memory.NewObjects()}
	h := core.New(core.Config{Objects: store, Secrets: memory.NewSecrets(), CacheDir: t.TempDir()})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	enqueue(t, h, "a", 1, true)
	c := newCluster(h, "pool", Options{TakeOver: time.Hour, abandon: time.Hour, takenAfter: time.Hour})
	require.Equal(t, []string{"a"}, c.waitingNow(t))
	_, err := history.Transition(t.Context(), h, "a", history.Step{To: record.Canceled})
	require.NoError(t, err)
	anew := make(chan struct{})
	store.after = func(string, error) error {
		store.after = nil
		require.NoError(t, h.Objects().Delete(t.Context(), history.Ref("a").Key, &backend.DeleteOptions{}))
		enqueue(t, h, "a", 2, true)
		close(anew)
		return azml.ErrUnavailable // the answer is lost
	}
	c.task("a", func() { c.free(t.Context(), record.Cluster{}, "a", []string{"box/0"}, nil, nil) })
	<-anew
	require.Empty(t, c.waitingNow(t), "a task is about the run before")
	c.takeFreed().noted()
	c.tasks.Wait()
	require.Equal(t, []string{"a"}, c.waitingNow(t))
}

// TestAgentsThatCanNotBeEnded are not forgotten, and no other begins beside them.
func TestAgentsThatCanNotBeEnded(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	driver := &workspacetest.Processes{Cancel: func(ctx context.Context, target backend.OpenedCompute, id string, grace time.Duration) error {
		if away.Load() {
			return azml.ErrUnavailable
		}
		return target.Cancel(ctx, id, grace)
	}}
	h := core.New(core.Config{Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), CacheDir: t.TempDir(), Computes: []backend.ComputeDriver{driver}})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	for _, name := range []string{"box", "other"} {
		_, err := compute.NewClient(h).Create(t.Context(), name, process.Target{Dir: t.TempDir(), CacheDir: t.TempDir()}, nil)
		require.NoError(t, err)
	}
	idle := record.ClusterNode{ID: "box/0", State: string(scheduler.Idle), Spares: []string{"agent-old", "agent-older"}}
	_, err := core.CreateQuiet(t.Context(), h, compute.StateRef("pool").Key, record.ClusterState{Scheduler: h.Owner().ID, Nodes: []record.ClusterNode{idle,
		{ID: "box/1", State: string(scheduler.Running), Run: "a", Spares: []string{"agent-b", "agent-a"}}}})
	require.NoError(t, err)
	c := newCluster(h, "pool", Options{TakeOver: time.Hour, abandon: time.Hour, takenAfter: time.Hour})
	node := func(i int) record.ClusterNode {
		stored, err := core.Get[record.ClusterState](t.Context(), h, compute.StateRef("pool").Key)
		require.NoError(t, err)
		return stored.Value.Nodes[i]
	}
	away.Store(true)
	c.forgetSpares(t.Context(), idle)
	require.Equal(t, idle.Spares, node(0).Spares)
	require.Equal(t, string(scheduler.Unusable), node(0).State, "or runs would wait for it in vain")
	require.Contains(t, node(0).Reason, "agent-old")
	require.ErrorIs(t, c.clear(t.Context(), "a", []string{"box/1"}, "agent-a"), azml.ErrUnavailable)
	former := record.Agent{Job: "agent-former", Nodes: []string{"other/0"}}
	require.ErrorIs(t, c.undo(t.Context(), former, former.Nodes), azml.ErrUnavailable)
	require.NoError(t, c.undo(t.Context(), former, []string{"box/1"}), "it is elsewhere")
	away.Store(false)
	c.forgetSpares(t.Context(), idle)
	require.Empty(t, node(0).Spares)
	require.NoError(t, c.clear(t.Context(), "a", []string{"box/1"}, "agent-a"))
	require.Equal(t, []string{"agent-a"}, node(1).Spares, "it has waited for the run")
}

// TestDeletedClusters are scheduled no more, and nobody waits for their nodes to be freed.
func TestDeletedClusters(t *testing.T) {
	t.Parallel()
	h := clocked(t, memory.NewObjects(), 0)
	pool(t, h, 1)
	o := Options{Every: time.Millisecond, TakeOver: time.Hour, abandon: time.Hour, takenAfter: time.Hour}
	served := make(chan struct{})
	go func() { defer close(served); serve(t.Context(), h, "pool", o) }()
	require.Eventually(t, func() bool {
		_, err := h.Objects().Stat(t.Context(), compute.StateRef("pool").Key)
		return err == nil
	}, time.Minute, time.Millisecond)
	select {
	case <-served:
		require.Fail(t, "the cluster is there")
	case <-time.After(50 * time.Millisecond):
	}
	require.NoError(t, h.Objects().Delete(t.Context(), "compute/pool.json", &backend.DeleteOptions{}))
	<-served
	require.NoError(t, h.Objects().Delete(t.Context(), compute.StateRef("pool").Key, &backend.DeleteOptions{}))
	_, err := core.CreateQuiet(t.Context(), h, history.Ref("a").Key, record.Run{ID: "a", Experiment: "e", Status: record.Completed, Agent: &record.Agent{Job: "agent-a", Nodes: []string{"box/0"}, Adopted: true}})
	require.NoError(t, err)
	c := newCluster(h, "pool", o)
	c.task("a", func() { c.drive(t.Context(), record.Cluster{}, "a", []string{"box/0"}) })
	require.Eventually(t, func() bool { return errors.Is(c.step(t.Context()), errDeleted) && !c.working() }, time.Minute, time.Millisecond)
}

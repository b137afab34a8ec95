package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/keeper"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scheduler"
)

// cluster is a cluster being scheduled, by this process or by another one that
// this one would follow.
type cluster struct {
	h       core.Handle
	name    string
	opts    Options
	tasks   sync.WaitGroup
	entries map[string]entry // the queue as it was read, by key; mu guards its changes

	heard   int64 // the last beat of another scheduler
	heardAt time.Time

	wake chan struct{} // asks for a step at once

	spares *keeper.Spares // agents whose runs are over, on idle nodes

	listed time.Time // when the queue was listed last

	told      map[string]time.Time // when the records of runs were last made to say what those wait for
	tellingAt time.Time            // when that was last thought of

	mu       sync.Mutex
	clock    clock
	lease    time.Time               // when this process began to write its last sign of life
	busy     map[string]bool         // runs and nodes that a task of this process takes care of
	ended    map[string]backend.ETag // entries of runs that have ended, which may be there still, by run
	rest     map[string]time.Time    // until when runs that lost their nodes before they began get no others
	freed    []*freed                // nodes that the next step frees
	machines map[string]*sync.Mutex  // whose commands run one at a time, by target
}

// entry is a queued run, and the state of its object that was read.
type entry struct {
	etag   backend.ETag
	run    record.QueuedRun
	queued time.Time // by the store's clock
	there  bool      // the run's record is: before that, its submitter is about to write it
	seen   time.Time // when it was read first
}

func newCluster(h core.Handle, name string, o Options) *cluster {
	return &cluster{h: h, name: name, opts: o, entries: map[string]entry{}, busy: map[string]bool{}, ended: map[string]backend.ETag{},
		rest: map[string]time.Time{}, machines: map[string]*sync.Mutex{}, wake: make(chan struct{}, 1), spares: keeper.NewSpares(h)}
}

// target is where the cluster's record is.
func (c *cluster) target() string { return "compute/" + c.name + ".json" }

// errElsewhere says that another process schedules.
var errElsewhere = fmt.Errorf("%w: another process schedules the cluster", azml.ErrConflict)

// errDeleted says that there is no such cluster.
var errDeleted = fmt.Errorf("%w: the cluster was deleted", azml.ErrNotFound)

// step does what has to be done now, if it is this process that schedules. Errors:
// errDeleted.
func (c *cluster) step(ctx context.Context) error {
	target, err := core.Get[record.Compute](ctx, c.h, c.target())
	if errors.Is(err, azml.ErrNotFound) || err == nil && target.Value.Cluster == nil {
		c.takeFreed().noted() // with the cluster, its nodes are gone
		return errDeleted
	}
	if err != nil {
		return err
	}
	if !c.queueKnown() {
		if err := c.readQueue(ctx); err != nil {
			return err
		}
	}
	decisions, state, err := c.decide(ctx, target.Value)
	if errors.Is(err, errElsewhere) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, d := range decisions {
		c.h.Logger().Info("cluster "+c.name, "what", what(d), "reason", d.Reason)
	}
	c.tend(ctx, *target.Value.Cluster, state)
	c.tell(ctx, target.Value, state)
	return c.giveUp(ctx)
}

// decides tells whether it is this process that schedules.
func (c *cluster) decides(s *record.ClusterState) bool { return s.Scheduler == c.h.Owner().ID }

// mayDecide tells whether this process schedules, or may take the other's place.
func (c *cluster) mayDecide(s *record.ClusterState) bool {
	if s.Scheduler == "" || c.decides(s) {
		return true
	}
	if s.Beat != c.heard || c.heardAt.IsZero() {
		c.heard, c.heardAt = s.Beat, time.Now()
	}
	return time.Since(c.heardAt) > c.opts.TakeOver
}

// decide makes decisions and notes them, in one conditional write: of two processes
// that decide at the same time one does it again, and then on what the other has
// decided. When there is nothing to note, nothing is written, but for a sign of
// life now and then.
func (c *cluster) decide(ctx context.Context, target record.Compute) ([]scheduler.Decision, record.ClusterState, error) {
	if err := c.begin(ctx); err != nil {
		return nil, record.ClusterState{}, err
	}
	if _, known := c.now(); !known { // this sign of life tells the store's time
		if _, err := c.update(ctx, c.mayDecide, func(*record.ClusterState) error { return nil }); err != nil {
			return nil, record.ClusterState{}, err
		}
	}
	var decisions []scheduler.Decision
	over := c.takeFreed()
	defer over.noted()
	state, err := c.update(ctx, c.mayDecide, func(s *record.ClusterState) error {
		now, _ := c.now()
		changed := over.apply(s, *target.Cluster, c.spares, now)
		changed = setMembers(s, *target.Cluster, now) || changed
		in := compute.SchedulerInput(target, *s, now)
		in.Queue = c.waiting(s)
		decisions = scheduler.Decide(in)
		quiet := c.decides(s) && c.beaten(c.opts.TakeOver/5)
		if len(decisions) == 0 && quiet && !changed {
			return core.ErrNoChange
		}
		c.note(s, decisions, now)
		return nil
	})
	return decisions, state, err
}

// update changes the state as a process that may. It is a sign of life, and tells the
// time. Errors: errElsewhere.
func (c *cluster) update(ctx context.Context, may func(*record.ClusterState) bool, change func(*record.ClusterState) error) (record.ClusterState, error) {
	var began time.Time
	written := false
	stored, err := core.Update(ctx, c.h, compute.StateRef(c.name), core.Quiet, func(s *record.ClusterState) error {
		began, written = time.Now(), false
		if !may(s) {
			return errElsewhere
		}
		if err := change(s); err != nil {
			return err
		}
		s.Scheduler, s.Host = c.h.Owner().ID, c.h.Owner().Host
		s.Beat++
		written = true
		return nil
	})
	if err == nil && written {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lease, c.clock = began, clock{stored.Modified.UTC().Round(0), time.Now()}
	}
	return stored.Value, err
}

// release lets another process schedule at once, when this one has nothing more to do.
func (c *cluster) release(ctx context.Context) {
	const patience = 5 * time.Second
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer stop()
	_, err := core.Update(ctx, c.h, compute.StateRef(c.name), core.Quiet, func(s *record.ClusterState) error {
		if !c.decides(s) {
			return core.ErrNoChange
		}
		s.Scheduler = ""
		return nil
	})
	if err != nil && !errors.Is(err, azml.ErrNotFound) {
		c.h.Logger().Info("the next scheduler of a cluster will wait before it takes over", "cluster", c.name, "error", err)
	}
}

// begin makes the state when there is none.
func (c *cluster) begin(ctx context.Context) error {
	if _, err := c.h.Objects().Stat(ctx, compute.StateRef(c.name).Key); !errors.Is(err, azml.ErrNotFound) {
		return err
	}
	_, err := core.CreateQuiet(ctx, c.h, compute.StateRef(c.name).Key, record.ClusterState{})
	if errors.Is(err, azml.ErrExists) {
		return nil
	}
	return err
}

// setMembers adds nodes of the members that the state lacks.
func setMembers(s *record.ClusterState, settings record.Cluster, now time.Time) (changed bool) {
	there, wanted := map[string]bool{}, map[string]bool{}
	for _, n := range s.Nodes {
		there[n.ID] = true
	}
	for _, m := range settings.Members {
		for i := range m.Nodes {
			id := fmt.Sprintf("%s/%d", m.Target, i)
			wanted[id] = true
			if !there[id] {
				s.Nodes = append(s.Nodes, record.ClusterNode{ID: id, State: string(scheduler.Off), Since: now})
				changed = true
			}
		}
	}
	before := len(s.Nodes)
	s.Nodes = slices.DeleteFunc(s.Nodes, func(n record.ClusterNode) bool { return n.State == string(scheduler.Off) && !wanted[n.ID] })
	return changed || len(s.Nodes) < before
}

// waiting gives the runs that have no nodes.
func (c *cluster) waiting(s *record.ClusterState) []scheduler.Run {
	placed := map[string]bool{}
	for _, n := range s.Nodes {
		placed[n.Run] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	queue := make([]scheduler.Run, 0, len(c.entries))
	for _, e := range c.entries {
		if e.there && !placed[e.run.RunID] && !c.busy[e.run.RunID] && c.ended[e.run.RunID] != e.etag && !time.Now().Before(c.rest[e.run.RunID]) {
			queue = append(queue, compute.Waiting(e.run, e.queued))
		}
	}
	return queue
}

// note writes decisions into the state.
func (c *cluster) note(s *record.ClusterState, decisions []scheduler.Decision, now time.Time) {
	for _, d := range decisions {
		var e entry
		if d.Kind == scheduler.Place {
			e = c.entries[compute.EntryRef(c.name, d.Run).Key]
			served(s, e.run, now)
		}
		for _, id := range d.Nodes {
			set(s, id, map[scheduler.Kind]scheduler.State{scheduler.Place: scheduler.Running, scheduler.Start: scheduler.Preparing, scheduler.Stop: scheduler.Leaving}[d.Kind],
				d.Reason, now, e.run)
		}
		event(s, now, what(d), d.Reason)
	}
}

// what says a decision in short.
func what(d scheduler.Decision) string {
	if d.Kind == scheduler.Place {
		return fmt.Sprintf("%s %s on %s", d.Kind, d.Run, strings.Join(d.Nodes, ", "))
	}
	return fmt.Sprintf("%s %s", d.Kind, strings.Join(d.Nodes, ", "))
}

// set changes a node's state.
func set(s *record.ClusterState, id string, state scheduler.State, reason string, now time.Time, run record.QueuedRun) {
	for i := range s.Nodes {
		if s.Nodes[i].ID == id {
			s.Nodes[i] = record.ClusterNode{ID: id, State: string(state), Since: now, Reason: reason, Run: run.RunID, Experiment: run.Experiment, Spares: s.Nodes[i].Spares}
		}
	}
	resizing := slices.ContainsFunc(s.Nodes, func(n record.ClusterNode) bool {
		return n.State == string(scheduler.Preparing) || n.State == string(scheduler.Leaving)
	})
	if resizing != s.Resizing {
		s.Resizing, s.Resized = resizing, now
	}
}

// servedFor is how long it is remembered that a flow was served: longer than what
// is counted as starving.
const servedFor = time.Hour

// served notes that a run of its experiment and priority got nodes.
func served(s *record.ClusterState, run record.QueuedRun, now time.Time) {
	s.Served = slices.DeleteFunc(s.Served, func(f record.ClusterServed) bool {
		return f.Experiment == run.Experiment && f.Priority == run.Priority || now.Sub(f.Time) > servedFor
	})
	s.Served = append(s.Served, record.ClusterServed{Experiment: run.Experiment, Priority: run.Priority, Time: now})
}

// event adds to the last events. Placements are kept apart from what becomes of nodes, of
// which they would soon leave nothing.
func event(s *record.ClusterState, now time.Time, what, reason string) {
	const kept = 100
	places := isPlacement(what)
	of, oldest := 0, -1
	for i, e := range s.Events {
		if isPlacement(e.What) != places {
			continue
		}
		if of++; oldest < 0 {
			oldest = i
		}
	}
	events := slices.Clone(s.Events)
	if of >= kept {
		events = slices.Delete(events, oldest, oldest+1)
	}
	s.Events = append(events, record.ClusterEvent{Time: now, What: what, Reason: reason})
}

// isPlacement tells whether an event is that a run got nodes.
func isPlacement(what string) bool { return strings.HasPrefix(what, string(scheduler.Place)+" ") }

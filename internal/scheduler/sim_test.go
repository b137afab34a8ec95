package scheduler_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/scheduler"
)

// simulation is a cluster whose nodes and clock are simulated. What it is told to
// do it checks before it does it.
type simulation struct {
	t       *testing.T
	rng     *rand.Rand
	config  scheduler.Config
	now     time.Time
	nodes   []scheduler.Node
	at      map[string]int // nodes by ID
	ready   map[int]time.Time
	queue   []scheduler.Run
	waits   map[string]scheduler.Run // the queue by ID, for a tick
	running map[string]*job
	served  map[scheduler.Flow]time.Time

	done, preempted, most int
	longest               map[string]time.Duration // that a run of an experiment has waited
}

// job is a run that has nodes.
type job struct {
	scheduler.Run
	nodes []int
	ends  time.Time
}

const tick = 10 * time.Second

func (s *simulation) set(n int, state scheduler.State) {
	s.nodes[n].State, s.nodes[n].Since, s.nodes[n].Run, s.nodes[n].Experiment = state, s.now, "", ""
}

// step brings the simulation a tick forward.
func (s *simulation) step() {
	s.now = s.now.Add(tick)
	for n, at := range s.ready {
		if s.now.After(at) {
			delete(s.ready, n)
			s.set(n, scheduler.Idle)
		}
	}
	for id, j := range s.running {
		lost := s.rng.IntN(20_000) == 0
		if !lost && s.now.Before(j.ends) {
			continue
		}
		delete(s.running, id)
		for _, n := range j.nodes {
			s.set(n, scheduler.Idle)
		}
		if lost { // a node was taken away
			s.set(j.nodes[0], scheduler.Preempted)
			s.preempted++
			s.queue = append(s.queue, j.Run)
			continue
		}
		s.done++
	}
	s.waits = make(map[string]scheduler.Run, len(s.queue))
	for _, r := range s.queue {
		s.waits[r.ID] = r
	}
	for _, d := range scheduler.Decide(scheduler.Input{Config: s.config, Now: s.now, Nodes: s.nodes, Queue: s.queue, Served: s.served}) {
		s.obey(d)
	}
	waiting := s.queue[:0]
	for _, r := range s.queue {
		if s.running[r.ID] == nil {
			waiting = append(waiting, r)
		}
	}
	s.queue = waiting
	alive := 0
	for _, n := range s.nodes {
		if n.State == scheduler.Idle || n.State == scheduler.Running || n.State == scheduler.Preparing {
			alive++
		}
	}
	require.LessOrEqual(s.t, alive, s.config.MaxNodes)
	require.GreaterOrEqual(s.t, alive, s.config.MinNodes)
	s.most = max(s.most, alive)
}

// obey does what was decided.
func (s *simulation) obey(d scheduler.Decision) {
	for _, id := range d.Nodes {
		n := s.at[id]
		switch state := s.nodes[n].State; d.Kind {
		case scheduler.Place:
			require.Equal(s.t, scheduler.Idle, state, "a node that is not free was given to %s", d.Run)
		case scheduler.Start:
			require.Contains(s.t, []scheduler.State{scheduler.Off, scheduler.Preempted}, state)
			s.set(n, scheduler.Preparing)
			s.ready[n] = s.now.Add(time.Duration(30+s.rng.IntN(60)) * time.Second)
		case scheduler.Stop:
			require.Contains(s.t, []scheduler.State{scheduler.Idle, scheduler.Preempted}, state)
			s.set(n, scheduler.Off)
		}
	}
	if d.Kind != scheduler.Place {
		return
	}
	require.Nil(s.t, s.running[d.Run], "run twice")
	r, waits := s.waits[d.Run]
	require.True(s.t, waits, "a run that does not wait was placed: %s", d.Run)
	require.Len(s.t, d.Nodes, r.Nodes, "a gang begins whole")
	j := &job{Run: r, ends: s.now.Add(time.Duration(1+s.rng.IntN(120)) * time.Second)}
	for _, id := range d.Nodes {
		n := s.at[id]
		s.set(n, scheduler.Running)
		s.nodes[n].Run, s.nodes[n].Experiment = r.ID, r.Experiment
		j.nodes = append(j.nodes, n)
	}
	s.running[r.ID] = j
	s.served[scheduler.Flow{Experiment: r.Experiment, Priority: r.Priority}] = s.now
	s.longest[r.Experiment] = max(s.longest[r.Experiment], s.now.Sub(r.Queued))
}

// TestSimulatedCluster runs 100,000 runs on 1,000 nodes, some of which are taken
// away: every run ends once, no node has two, and who submits little waits little.
func TestSimulatedCluster(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := &simulation{t: t, rng: rand.New(rand.NewPCG(seed, 0)), now: start, at: map[string]int{}, ready: map[int]time.Time{},
		running: map[string]*job{}, served: map[scheduler.Flow]time.Time{}, longest: map[string]time.Duration{},
		config: scheduler.Config{MaxNodes: 1000, IdleBeforeScaleDown: 5 * time.Minute}}
	for i := range 1000 {
		id := fmt.Sprintf("node%04d", i)
		s.at[id] = i
		s.nodes = append(s.nodes, scheduler.Node{ID: id, State: scheduler.Off, Since: start})
	}
	const total = 100_000
	submitted := 0
	submit := func(experiment string, nodes, priority int) {
		if submitted < total {
			s.queue = append(s.queue, scheduler.Run{ID: fmt.Sprint(submitted), Experiment: experiment, Nodes: nodes, Priority: priority, Queued: s.now})
			submitted++
		}
	}
	for ticks := 0; s.done < total; {
		for i := range 112 { // a tick; at times more than the nodes can take
			nodes := 1
			if i%40 == 0 {
				nodes = 1 + s.rng.IntN(32)
			}
			submit(fmt.Sprintf("many%d", i%4), nodes, i%3)
		}
		submit("few", 1, 0)
		if ticks++; ticks%100 == 0 {
			submit("wide", s.config.MaxNodes/5, 0)
		}
		s.step()
		require.Less(t, s.now.Sub(start), 48*time.Hour, "runs wait for ever: %d of %d ended, %d wait", s.done, total, len(s.queue))
	}
	t.Logf("%s simulated, %d runs pre-empted, longest wait %v", s.now.Sub(start), s.preempted, s.longest)
	require.Equal(t, 1000, s.most, "all nodes were used")
	require.Positive(t, s.preempted)
	require.LessOrEqual(t, s.longest["few"], starvationBound, "who submits little is not kept waiting by others")
	require.LessOrEqual(t, s.longest["wide"], gangBound, "a run on many nodes is not passed by for ever by those that need few")
	for range 100 {
		s.step()
	}
	for _, n := range s.nodes {
		require.Equal(t, scheduler.Off, n.State, "all nodes are stopped in the end, and what was taken away is as well")
	}
}

// starvationBound is what a run of an experiment with few runs may wait: the time
// after which it goes before all others, and some for nodes to become free.
const starvationBound = 15 * time.Minute

// gangBound is what a run may wait that needs a fifth of the nodes: longer than it lets
// others go first and nodes become free, and less than it waits when none are kept for it.
const gangBound = 8 * time.Minute

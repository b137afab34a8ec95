package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// State is the state of a node, by Azure ML's names.
type State string

// The states of a node.
const (
	// Off says that the node is not started. Azure ML has no name for it, since its
	// nodes are then nowhere.
	Off State = "off"
	// Preparing says that it is being started.
	Preparing State = "preparing"
	// Idle says that it could take a run.
	Idle State = "idle"
	// Running says that a run has it.
	Running State = "running"
	// Leaving says that it is being stopped.
	Leaving State = "leaving"
	// Unusable says that it could not be started, or does not answer.
	Unusable State = "unusable"
	// Preempted says that it was taken away.
	Preempted State = "preempted"
)

// Node is a node of the cluster.
type Node struct {
	// ID names it.
	ID string
	// State is its state, Since when that began, and Reason why.
	State State
	// Since is described with State.
	Since time.Time
	// Reason is described with State.
	Reason string
	// Run is the ID of the run that has it when State is Running, Experiment that
	// run's experiment.
	Run string
	// Experiment is described with Run.
	Experiment string
}

// Run is a run that waits.
type Run struct {
	// ID is the run's ID.
	ID string
	// Experiment is what runs share nodes between.
	Experiment string
	// Nodes is how many it needs at once, at least 1.
	Nodes int
	// Priority puts it before those with a lower one.
	Priority int
	// Queued is when it began to wait, by the clock that Input.Now is of.
	Queued time.Time
	// Created is the same by its submitter's clock, which may be wrong: it only orders
	// runs that began to wait at the same time.
	Created time.Time
}

// Flow is those runs of an experiment that have one priority.
type Flow struct {
	// Experiment is the experiment's name.
	Experiment string
	// Priority is the runs' priority.
	Priority int
}

// Config is what a cluster's owner decides.
type Config struct {
	// MinNodes are always started, MaxNodes at most.
	MinNodes int
	// MaxNodes is described with MinNodes.
	MaxNodes int
	// IdleBeforeScaleDown is how long a node that nothing needs stays.
	IdleBeforeScaleDown time.Duration
	// Held, when not empty, says why no run gets nodes and all are stopped.
	Held string
}

// Input is all that a decision depends on.
type Input struct {
	// Config is the cluster's.
	Config Config
	// Now is the time.
	Now time.Time
	// Nodes are all nodes, those that are off among them.
	Nodes []Node
	// Queue are the runs that wait, in any order. Decide leaves it as it is.
	Queue []Run
	// Served is when runs of a flow were placed last.
	Served map[Flow]time.Time
}

// Kind is a kind of decision.
type Kind string

// The kinds of decisions.
const (
	// Place gives nodes to a run.
	Place Kind = "place"
	// Start starts a node.
	Start Kind = "start"
	// Stop stops a node that is idle, or failed and is not needed.
	Stop Kind = "stop"
)

// Decision is something to do, and why.
type Decision struct {
	// Kind says what.
	Kind Kind
	// Run is the run that is placed.
	Run string
	// Nodes are the nodes that it is about.
	Nodes []string
	// Reason says why, in words.
	Reason string
}

const (
	// starvesAfter is how long a flow may get nothing before it goes before all
	// others, whatever their priority.
	starvesAfter = 10 * time.Minute
	// holdAfter is how long a run that needs several nodes lets others go first that
	// need fewer. Then free nodes are kept until there are enough.
	holdAfter = time.Minute
	// retryAfter is how long a node that failed, or was taken away, is left alone. Then it
	// is started again when runs need it, and else stopped: its machine may be on.
	retryAfter = 2 * time.Minute
	// heldRetryAfter is that for a cluster whose nodes are all to be stopped.
	heldRetryAfter = 10 * time.Second
)

// Decide tells what to do now. Runs are taken flow by flow: those that have
// starved first, then by priority, then of the experiment that has the fewest
// nodes, then by time; within a flow by time. It costs one pass over queue and
// nodes, and per decision one over the flows.
func Decide(in Input) []Decision {
	p := newPlan(in)
	decisions := p.place()
	return append(decisions, p.scale()...)
}

// Why says what a run waits for that Decide has not placed, in words.
func Why(in Input, run Run) string {
	free, started, unusable := 0, 0, 0
	var last Node // of those that are unusable
	for _, n := range in.Nodes {
		switch n.State {
		case Idle:
			free++
		case Preparing:
			started++
		case Unusable:
			if unusable++; n.Since.After(last.Since) {
				last = n
			}
		}
	}
	have := fmt.Sprintf("%d free", free)
	if unusable > 0 {
		have += fmt.Sprintf(", %d unusable", unusable)
		if last.Reason != "" {
			have += " (" + last.ID + ": " + last.Reason + ")"
		}
	}
	switch {
	case in.Config.Held != "":
		return in.Config.Held
	case run.Nodes > in.Config.MaxNodes:
		return fmt.Sprintf("it needs %d nodes, and the cluster has at most %d", run.Nodes, in.Config.MaxNodes)
	case started > 0 && free+started >= run.Nodes:
		return fmt.Sprintf("it needs %s: %d free, %d being started", nodes(run.Nodes), free, started)
	case free >= run.Nodes:
		return "other runs are before it"
	case free > 0 && run.Nodes > 1 && in.Now.Sub(run.Queued) > holdAfter:
		return fmt.Sprintf("it needs %s: %s, kept until there are enough", nodes(run.Nodes), have)
	}
	return fmt.Sprintf("it needs %s: %s", nodes(run.Nodes), have)
}

func nodes(n int) string {
	if n == 1 {
		return "a node"
	}
	return fmt.Sprintf("%d nodes", n)
}

// plan is a decision being made.
type plan struct {
	Input
	idle   []Node
	flows  []*queue
	inUse  map[string]int // nodes by experiment
	demand int            // nodes that runs wait for
	usable int            // nodes that are not broken or taken away
}

func newPlan(in Input) *plan {
	if in.Config.Held != "" {
		in.Config.MinNodes, in.Config.MaxNodes = 0, 0
	}
	p := &plan{Input: in, inUse: map[string]int{}}
	for _, n := range in.Nodes {
		switch n.State {
		case Idle:
			p.idle = append(p.idle, n)
		case Running:
			p.inUse[n.Experiment]++
		}
		if n.State != Unusable && n.State != Preempted {
			p.usable++
		}
	}
	byFlow := map[Flow]*queue{}
	for i := range in.Queue {
		r := &in.Queue[i]
		if r.Nodes > in.Config.MaxNodes {
			continue // it can wait only for a greater maximum
		}
		f := Flow{r.Experiment, r.Priority}
		q := byFlow[f]
		if q == nil {
			q = &queue{Flow: f, served: in.Served[f]}
			byFlow[f] = q
			p.flows = append(p.flows, q)
		}
		q.runs = append(q.runs, r)
		p.demand += r.Nodes
	}
	for _, q := range p.flows {
		q.init()
	}
	// What was idle for long is used last, so that it can be stopped.
	slices.SortStableFunc(p.idle, func(a, b Node) int {
		if c := b.Since.Compare(a.Since); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return p
}

// place gives idle nodes to runs.
func (p *plan) place() []Decision {
	var decisions []Decision
	passed := map[*queue]bool{} // whose first run does not fit, and lets others go
	for len(p.idle) > 0 {
		q := p.next(passed)
		if q == nil {
			break
		}
		r := q.first()
		if r.Nodes > len(p.idle) {
			if r.Nodes <= p.usable && p.Now.Sub(r.Queued) > holdAfter {
				break // all that is free is kept for it
			}
			passed[q] = true
			continue
		}
		d := Decision{Kind: Place, Run: r.ID, Reason: p.reason(q)}
		for _, n := range p.idle[:r.Nodes] {
			d.Nodes = append(d.Nodes, n.ID)
		}
		p.idle = p.idle[r.Nodes:]
		p.inUse[r.Experiment] += r.Nodes
		p.demand -= r.Nodes
		q.pop()
		q.served = p.Now
		decisions = append(decisions, d)
	}
	return decisions
}

// next gives the flow whose turn it is.
func (p *plan) next(passed map[*queue]bool) *queue {
	var best *queue
	for _, q := range p.flows {
		if len(q.runs) > 0 && !passed[q] && (best == nil || p.before(q, best)) {
			best = q
		}
	}
	return best
}

func (p *plan) before(a, b *queue) bool {
	if x, y := a.starves(p.Now), b.starves(p.Now); x || y {
		if x != y {
			return x
		}
		return a.waitsSince().Before(b.waitsSince())
	}
	if a.Priority != b.Priority {
		return a.Priority > b.Priority
	}
	if x, y := p.inUse[a.Experiment], p.inUse[b.Experiment]; x != y {
		return x < y
	}
	return older(a.first(), b.first())
}

// reason says why it was the flow's turn.
func (p *plan) reason(q *queue) string {
	switch {
	case q.starves(p.Now):
		return fmt.Sprintf("%s with priority %d had no node for %s", q.Experiment, q.Priority, p.Now.Sub(q.waitsSince()).Round(time.Second))
	case len(p.flows) == 1:
		return "its turn"
	case q.Priority != 0:
		return fmt.Sprintf("priority %d; %s has %d other nodes", q.Priority, q.Experiment, p.inUse[q.Experiment])
	}
	return fmt.Sprintf("its turn; %s has %d other nodes", q.Experiment, p.inUse[q.Experiment])
}

// scale starts and stops nodes.
func (p *plan) scale() []Decision {
	alive, ready := 0, len(p.idle)
	var off, broken []Node
	for _, n := range p.Nodes {
		switch n.State {
		case Idle, Running:
			alive++
		case Preparing:
			alive++
			ready++
		case Off:
			off = append(off, n)
		case Unusable, Preempted:
			if p.Now.Sub(n.Since) > p.leftAlone() {
				broken = append(broken, n)
			}
		}
	}
	wanted := max(p.Config.MinNodes, min(p.Config.MaxNodes, alive-ready+p.demand))
	starts := min(len(off)+len(broken), max(0, wanted-alive))
	var decisions []Decision
	for _, n := range slices.Concat(off, broken)[:starts] {
		reason := fmt.Sprintf("%d nodes are wanted by runs that wait, %d are free or being started", p.demand, ready)
		if alive < p.Config.MinNodes {
			reason = fmt.Sprintf("the minimum is %d nodes", p.Config.MinNodes)
		}
		decisions = append(decisions, Decision{Kind: Start, Nodes: []string{n.ID}, Reason: reason})
		alive++
		ready++
	}
	for _, n := range broken[max(0, starts-len(off)):] {
		decisions = append(decisions, Decision{Kind: Stop, Nodes: []string{n.ID}, Reason: fmt.Sprintf("it was %s, its machine may be on, and nothing needs it", n.State)})
	}
	for i := len(p.idle) - 1; i >= 0 && alive > wanted; i-- { // those that were idle for longest
		n := p.idle[i]
		idle := p.Now.Sub(n.Since)
		over := alive > p.Config.MaxNodes
		if !over && (idle < p.Config.IdleBeforeScaleDown || p.demand > 0) {
			break
		}
		reason := fmt.Sprintf("idle for %s, and nothing waits", idle.Round(time.Second))
		switch {
		case p.Config.Held != "":
			reason = p.Config.Held
		case over:
			reason = fmt.Sprintf("the maximum is %d nodes", p.Config.MaxNodes)
		}
		decisions = append(decisions, Decision{Kind: Stop, Nodes: []string{n.ID}, Reason: reason})
		alive--
	}
	return decisions
}

// leftAlone is how long nothing is done about a node that failed or was taken away.
func (p *plan) leftAlone() time.Duration {
	if p.Config.Held != "" {
		return heldRetryAfter
	}
	return retryAfter
}

package scheduler_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/scheduler"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// fleet gives nodes of these states since the beginning.
func fleet(states ...scheduler.State) []scheduler.Node {
	var all []scheduler.Node
	for i, s := range states {
		all = append(all, scheduler.Node{ID: fmt.Sprintf("n%d", i), State: s, Since: start})
	}
	return all
}

// waiting gives a run that was queued that many seconds after the beginning.
func waiting(id, experiment string, nodes, priority, second int) scheduler.Run {
	return scheduler.Run{ID: id, Experiment: experiment, Nodes: nodes, Priority: priority, Queued: start.Add(time.Duration(second) * time.Second)}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	const idle, off, busy, preparing = scheduler.Idle, scheduler.Off, scheduler.Running, scheduler.Preparing
	long := scheduler.Config{MaxNodes: 4, IdleBeforeScaleDown: time.Minute}
	for name, c := range map[string]struct {
		config scheduler.Config
		nodes  []scheduler.Node
		after  time.Duration
		queue  []scheduler.Run
		served map[scheduler.Flow]time.Time
		want   []string
	}{
		"nothing":                               {long, fleet(off, off), 0, nil, nil, nil},
		"the oldest first":                      {long, fleet(idle), 5 * time.Second, []scheduler.Run{waiting("b", "x", 1, 0, 2), waiting("a", "x", 1, 0, 1)}, nil, []string{"place a"}},
		"a priority goes before age":            {long, fleet(idle), 5 * time.Second, []scheduler.Run{waiting("b", "x", 1, 1, 2), waiting("a", "x", 1, 0, 1)}, nil, []string{"place b"}},
		"who has starved goes before all":       {long, fleet(idle), 11 * time.Minute, []scheduler.Run{waiting("b", "x", 1, 1, 600), waiting("a", "x", 1, 0, 1)}, nil, []string{"place a"}},
		"who was served has not starved":        {long, fleet(idle), 11 * time.Minute, []scheduler.Run{waiting("b", "x", 1, 1, 600), waiting("a", "x", 1, 0, 1)}, map[scheduler.Flow]time.Time{{Experiment: "x"}: start.Add(10 * time.Minute)}, []string{"place b"}},
		"experiments share":                     {long, fleet(idle, idle), 5 * time.Second, []scheduler.Run{waiting("a", "x", 1, 0, 1), waiting("b", "x", 1, 0, 1), waiting("c", "y", 1, 0, 3)}, nil, []string{"place a", "place c"}},
		"a gang begins whole":                   {long, fleet(idle, idle, idle), 5 * time.Second, []scheduler.Run{waiting("a", "x", 3, 0, 1)}, nil, []string{"place a"}},
		"a gang lets others go at first":        {long, fleet(idle, busy, busy, busy), 5 * time.Second, []scheduler.Run{waiting("a", "x", 2, 0, 1), waiting("b", "y", 1, 0, 2)}, nil, []string{"place b"}},
		"a gang that waits keeps what is":       {long, fleet(idle, busy, busy, busy), 2 * time.Minute, []scheduler.Run{waiting("a", "x", 2, 0, 1), waiting("b", "y", 1, 0, 2)}, nil, nil},
		"more than there can be holds none":     {long, fleet(idle), 2 * time.Minute, []scheduler.Run{waiting("a", "x", 5, 0, 1), waiting("b", "y", 1, 0, 2)}, nil, []string{"place b"}},
		"a gang that broken nodes lack to":      {long, fleet(idle, idle, idle, scheduler.Unusable), 90 * time.Second, []scheduler.Run{waiting("a", "x", 4, 0, 1), waiting("b", "y", 1, 0, 2)}, nil, []string{"place b"}},
		"nodes start for who waits":             {long, fleet(off, off, off, off, off), 0, []scheduler.Run{waiting("a", "x", 2, 0, 0)}, nil, []string{"start n0", "start n1"}},
		"never more than the maximum":           {long, fleet(off, off, off, off, off, off), 0, []scheduler.Run{waiting("a", "x", 4, 0, 0), waiting("b", "x", 4, 0, 0)}, nil, []string{"start n0", "start n1", "start n2", "start n3"}},
		"those being started count":             {long, fleet(preparing, preparing, off), 0, []scheduler.Run{waiting("a", "x", 2, 0, 0)}, nil, nil},
		"the minimum is kept":                   {scheduler.Config{MinNodes: 2, MaxNodes: 3}, fleet(off, off, off), 0, nil, nil, []string{"start n0", "start n1"}},
		"idle nodes stay for a while":           {long, fleet(idle, idle), 59 * time.Second, nil, nil, nil},
		"idle nodes stop":                       {long, fleet(idle, idle), 61 * time.Second, nil, nil, []string{"stop n1", "stop n0"}},
		"the minimum does not stop":             {scheduler.Config{MinNodes: 1, MaxNodes: 3}, fleet(idle, idle), time.Hour, nil, nil, []string{"stop n1"}},
		"nothing stops while something waits":   {long, fleet(idle, busy), time.Hour, []scheduler.Run{waiting("a", "x", 2, 0, 0)}, nil, nil},
		"a smaller maximum":                     {scheduler.Config{MaxNodes: 1, IdleBeforeScaleDown: time.Hour}, fleet(idle, idle), 0, nil, nil, []string{"stop n1"}},
		"a failed node is left alone":           {long, fleet(scheduler.Unusable), time.Minute, []scheduler.Run{waiting("a", "x", 1, 0, 0)}, nil, nil},
		"or stopped when nothing needs it":      {long, fleet(scheduler.Unusable, scheduler.Preempted, off), 3 * time.Minute, nil, nil, []string{"stop n0", "stop n1"}},
		"those that are off are started first":  {long, fleet(scheduler.Unusable, off), 3 * time.Minute, []scheduler.Run{waiting("a", "x", 1, 0, 1)}, nil, []string{"start n1", "stop n0"}},
		"a held cluster stops all but who runs": {scheduler.Config{MinNodes: 1, MaxNodes: 4, IdleBeforeScaleDown: time.Hour, Held: "the cluster is stopped"}, fleet(idle, off, busy, scheduler.Unusable), time.Minute, []scheduler.Run{waiting("a", "x", 1, 0, 1)}, nil, []string{"stop n3", "stop n0"}},
		"and tried again":                       {long, fleet(scheduler.Unusable, scheduler.Preempted), 3 * time.Minute, []scheduler.Run{waiting("a", "x", 1, 0, 0)}, nil, []string{"start n0", "stop n1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, d := range scheduler.Decide(scheduler.Input{Config: c.config, Now: start.Add(c.after), Nodes: c.nodes, Queue: c.queue, Served: c.served}) {
				require.NotEmpty(t, d.Reason)
				what := d.Run
				if d.Kind != scheduler.Place {
					what = d.Nodes[0]
				}
				got = append(got, string(d.Kind)+" "+what)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestWhy(t *testing.T) {
	t.Parallel()
	config := scheduler.Config{MaxNodes: 4}
	in := func(states ...scheduler.State) scheduler.Input {
		return scheduler.Input{Config: config, Now: start.Add(2 * time.Minute), Nodes: fleet(states...)}
	}
	require.Contains(t, scheduler.Why(in(), waiting("a", "x", 5, 0, 0)), "at most 4")
	require.Equal(t, "it is stopped", scheduler.Why(scheduler.Input{Config: scheduler.Config{MaxNodes: 4, Held: "it is stopped"}}, waiting("a", "x", 1, 0, 0)))
	require.Contains(t, scheduler.Why(in(scheduler.Preparing), waiting("a", "x", 1, 0, 0)), "1 being started")
	require.Contains(t, scheduler.Why(in(scheduler.Idle), waiting("a", "x", 2, 0, 0)), "kept until there are enough")
	require.Contains(t, scheduler.Why(in(scheduler.Idle), waiting("a", "x", 1, 0, 0)), "before it")
	require.Contains(t, scheduler.Why(in(scheduler.Running), waiting("a", "x", 1, 0, 0)), "it needs a node: 0 free")
	require.Equal(t, "it needs a node: 0 free, 1 unusable", scheduler.Why(in(scheduler.Running, scheduler.Unusable), waiting("a", "x", 1, 0, 0)))
	two := in(scheduler.Unusable, scheduler.Unusable)
	two.Nodes[0].Since, two.Nodes[0].Reason = start.Add(time.Minute), "its disk is gone"
	require.Equal(t, "it needs a node: 0 free, 2 unusable ("+two.Nodes[0].ID+": its disk is gone)", scheduler.Why(two, waiting("a", "x", 1, 0, 0)), "the last reason is told")
}

// BenchmarkDecide is one decision with 10,000 runs that wait.
func BenchmarkDecide(b *testing.B) {
	var queue []scheduler.Run
	for i := range 10_000 {
		queue = append(queue, waiting(fmt.Sprint("run", i), fmt.Sprint("experiment", i%50), 1+i%3, i%3, i))
	}
	nodes := fleet(make([]scheduler.State, 100)...)
	for i := range nodes {
		nodes[i].State = scheduler.Running
		if i%10 == 0 {
			nodes[i].State = scheduler.Idle
		}
	}
	in := scheduler.Input{Config: scheduler.Config{MaxNodes: 100}, Now: start.Add(5 * time.Minute), Nodes: nodes, Queue: queue}
	for b.Loop() {
		scheduler.Decide(in)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/workspace"
)

func (a *app) computeWatch() *cobra.Command {
	return &cobra.Command{
		Use:   "watch NAME",
		Short: "Show a cluster live: nodes, queue, and why each run waits",
		Long: `Show a cluster live: its nodes, its queue and why each run waits, and the last
decisions of its scheduler with their reasons. "q" or Ctrl-C leaves; the cluster goes on.
Where the standard output is no terminal, the cluster is shown once, and then each
decision is a line; with -o json each change is an object.`,
		Example: "  azml compute watch pool",
		Args:    exactly(1, "the name of a cluster"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				return a.watchCluster(cmd.Context(), ws, args[0])
			})
		},
	}
}

func (a *app) watchCluster(ctx context.Context, ws *workspace.Workspace, name string) error {
	l := lookAtCluster(ctx, ws, name, titles{})
	if l.err != nil {
		return l.err
	}
	p := &clusterPage{name: name, status: l.status, called: l.called, heardAt: time.Now(), style: a.style()}
	if out, isFile := a.stdout.(*os.File); isFile && a.output == outputTable && terminal.IsTerminal(out) && os.Getenv("TERM") != "dumb" {
		return a.clusterScreen(ctx, ws, p, out)
	}
	return a.clusterReports(ctx, ws, p)
}

// clusterLook is what a look at a cluster gave.
type clusterLook struct {
	status compute.ClusterStatus
	called titles // of the experiments of runs that wait
	err    error
}

// lookAtCluster looks at a cluster. It adds the titles that it finds to those that are
// known.
func lookAtCluster(ctx context.Context, ws *workspace.Workspace, name string, known titles) clusterLook {
	l := clusterLook{called: known}
	l.status, l.err = clusterStatus(ctx, ws, name)
	for _, q := range l.status.Queue {
		if l.err == nil {
			l.err = known.learn(ctx, ws, q.Experiment)
		}
	}
	return l
}

// clusterLooks looks at the cluster each second, beside who draws it, whom a slow store
// doesn't hold up then. leave ends it, and waits for the look that is under way.
func clusterLooks(ctx context.Context, ws *workspace.Workspace, name string) (_ <-chan clusterLook, leave func()) {
	ctx, cancel := context.WithCancel(ctx)
	looks := make(chan clusterLook)
	var looking sync.WaitGroup
	looking.Go(func() {
		called := titles{}
		for {
			select {
			case <-time.After(lookAtClusterEvery):
			case <-ctx.Done():
				return
			}
			l := lookAtCluster(ctx, ws, name, called)
			l.called = maps.Clone(called) // it is read while the next look is under way
			if ctx.Err() != nil {         // which is no trouble of the store's
				return
			}
			select {
			case looks <- l:
			case <-ctx.Done():
				return
			}
		}
	})
	return looks, func() { cancel(); looking.Wait() }
}

// take takes what a look gave; of what could not be seen the page says why, and the
// cluster is as it was. Errors: ErrNotFound when it was deleted.
func (p *clusterPage) take(l clusterLook, now time.Time) error {
	p.trouble = ""
	switch {
	case l.err == nil:
		if !l.status.Heard.Equal(p.status.Heard) {
			p.heardAt = now
		}
		p.status, p.called = l.status, l.called
	case errors.Is(l.err, azml.ErrNotFound):
		return l.err
	default:
		p.trouble = l.err.Error()
	}
	return nil
}

const lookAtClusterEvery = time.Second

// clusterScreen shows the cluster on the whole terminal until the user leaves, and then the
// last state below what was there before.
func (a *app) clusterScreen(ctx context.Context, ws *workspace.Workspace, p *clusterPage, out *os.File) error {
	if err := a.clusterLive(ctx, ws, p, out); err != nil {
		return err
	}
	return a.show(p.status, func(t *table) { clusterTable(t, p.status, p.called) })
}

func (a *app) clusterLive(ctx context.Context, ws *workspace.Workspace, p *clusterPage, out *os.File) error {
	looks, leave := clusterLooks(ctx, ws, p.name)
	defer leave() // when the terminal is as it was
	return a.live(ctx, out, nil, func(width, height int) ([]string, error) {
		select {
		case l := <-looks:
			if err := p.take(l, time.Now()); err != nil {
				return nil, err
			}
		default:
		}
		p.width, p.height = width, height
		p.now, p.lines = time.Now(), nil
		p.draw()
		return p.lines, nil
	})
}

// clusterReports writes what changes.
func (a *app) clusterReports(ctx context.Context, ws *workspace.Workspace, p *clusterPage) error {
	shown := p.status
	if err := a.show(shown, func(t *table) { clusterTable(t, shown, p.called) }); err != nil {
		return err
	}
	looks, leave := clusterLooks(ctx, ws, p.name)
	defer leave()
	for {
		told := p.trouble
		select {
		case l := <-looks:
			if err := p.take(l, time.Now()); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
		if p.trouble != "" && p.trouble != told {
			a.say("%s", p.trouble)
		}
		s := p.status
		if s.Heard = shown.Heard; reflect.DeepEqual(s, shown) { // but for a sign of life
			continue
		}
		news := newEvents(shown.Events, s.Events)
		shown = s
		err := a.show(p.status, func(t *table) {
			for _, e := range news {
				t.line(cell(fmt.Sprintf("%s  %s: %s", e.Time.Local().Format(time.DateTime), e.What, e.Reason)))
			}
		})
		if err != nil {
			return err
		}
	}
}

// newEvents gives those that were not there before; the oldest are forgotten now and then.
func newEvents(before, now []compute.Event) []compute.Event {
	if len(before) == 0 {
		return now
	}
	last := before[len(before)-1]
	for i := len(now) - 1; i >= 0; i-- {
		if now[i] == last {
			return now[i+1:]
		}
	}
	return now
}

// clusterPage is a page of a terminal that shows a cluster.
type clusterPage struct {
	name          string
	status        compute.ClusterStatus
	called        titles    // of the experiments of runs that wait
	heardAt       time.Time // when the scheduler's last sign of life was seen, by this machine's clock
	trouble       string    // why status is old
	style         terminal.Style
	width, height int
	now           time.Time

	lines []string
}

func (p *clusterPage) line(spans ...terminal.Span) {
	p.lines = append(p.lines, p.style.Spans(p.width, spans...))
}

// draw lays the page out: what sections don't need goes to those that do.
func (p *clusterPage) draw() {
	p.head()
	sections := []clusterSection{p.nodes(), p.queue(), p.decisions()}
	room := p.height - len(p.lines) - 1 // the last line
	for i, s := range sections {
		need := 0
		for _, later := range sections[i+1:] {
			need += section(len(later.rows))
		}
		p.section(s, max(room-need, room/(len(sections)-i)), &room)
	}
	p.lines = p.lines[:min(len(p.lines), max(0, p.height-1))]
	p.line(colored(terminal.Dim, "q leaves, the cluster goes on"))
}

func (p *clusterPage) head() {
	s := p.status
	p.line(colored(terminal.Bold, "%s", p.name), text("  "), colored(allocationColor(s), "%s", s.AllocationState),
		text("  %d of %d nodes started, at least %d, %s; %s", s.CurrentNodeCount, s.MaxNodes, s.MinNodes, s.Priority, count(len(s.Queue), "waiting run")))
	const silent = 30 * time.Second // twice what schedulers wait for each other
	switch heard := p.now.Sub(p.heardAt); {
	case s.Stopped:
		p.line(colored(terminal.Yellow, "It is stopped: runs wait until azml compute start %s", p.name))
	case s.Scheduler == "":
		p.line(colored(terminal.Red, "No scheduler yet: run azml scheduler"))
	case heard > silent:
		p.line(colored(terminal.Red, "Nothing heard of the scheduler on %s for %s: run azml scheduler", s.Scheduler, brief(heard)))
	default:
		p.line(colored(terminal.Dim, "scheduled on %s", s.Scheduler))
	}
	if p.trouble != "" {
		p.line(colored(terminal.Red, "%s", p.trouble))
	}
}

func allocationColor(s compute.ClusterStatus) terminal.Color {
	if s.AllocationState == compute.Resizing {
		return terminal.Yellow
	}
	return terminal.Green
}

// clusterSection is a heading and rows, with the color of each row's second cell.
type clusterSection struct {
	heading []string
	rows    [][]string
	colors  []terminal.Color
}

func (s *clusterSection) add(c terminal.Color, cells ...string) {
	s.rows, s.colors = append(s.rows, cells), append(s.colors, c)
}

// urgency orders nodes by their states: what fails is seen where there is little room.
var urgency = []string{"unusable", "preempted", "preparing", "leaving", "running", "idle"}

// nodes are those that are not off, and how many those are.
func (p *clusterPage) nodes() clusterSection {
	s := clusterSection{heading: []string{"NODE", "STATE", "FOR", "RUN", "REASON"}}
	all := slices.Clone(p.status.Nodes)
	slices.SortStableFunc(all, func(a, b compute.Node) int {
		return slices.Index(urgency, a.NodeState) - slices.Index(urgency, b.NodeState)
	})
	for _, n := range all {
		c, reason := terminal.Yellow, n.Reason
		switch n.NodeState {
		case "off":
			continue
		case "running":
			c, reason = terminal.Green, "" // it was given to the run
		case "idle":
			c = terminal.Dim
		case "unusable", "preempted":
			c = terminal.Red
		}
		s.add(c, n.NodeID, n.NodeState, brief(p.now.Sub(n.Since)), n.RunID, reason)
	}
	if off := p.status.NodeStateCounts["off"]; off > 0 {
		s.add(terminal.Dim, count(off, "node"), "off")
	}
	return s
}

func (p *clusterPage) queue() clusterSection {
	s := clusterSection{heading: []string{"WAITS", "FOR", "EXPERIMENT", "NODES", "PRIORITY", "WHY"}}
	for _, q := range p.status.Queue {
		s.add(terminal.Yellow, q.RunID, brief(p.now.Sub(q.Queued)), p.called.of(q.Experiment), fmt.Sprint(q.NodeCount), fmt.Sprint(q.Priority), q.WaitsFor)
	}
	return s
}

// decisions are the last ones, the newest first.
func (p *clusterPage) decisions() clusterSection {
	s := clusterSection{heading: []string{"AGO", "DECISION", "REASON"}}
	for i := len(p.status.Events) - 1; i >= 0; i-- {
		e := p.status.Events[i]
		s.add("", brief(p.now.Sub(e.Time)), e.What, e.Reason)
	}
	return s
}

// section draws as many rows as fit into its share of the room, and takes that.
func (p *clusterPage) section(s clusterSection, share int, room *int) {
	shown := min(len(s.rows), share-sectionFrame)
	if shown < 1 {
		return
	}
	more := len(s.rows) - shown
	if more > 0 && shown > 1 {
		shown--
		more++
	}
	widths := make([]int, len(s.heading))
	for _, row := range append([][]string{s.heading}, s.rows[:shown]...) {
		for i, text := range row {
			widths[i] = min(max(widths[i], terminal.Width(cell(text))), p.width/3)
		}
	}
	roomForMore := share > shown+sectionFrame
	if more > 0 && !roomForMore {
		s.heading = slices.Clone(s.heading)
		s.heading[0] += fmt.Sprintf(" (%d of %d)", shown, len(s.rows))
		widths[0] = max(widths[0], terminal.Width(s.heading[0]))
	}
	before := len(p.lines)
	p.line()
	p.line(colored(terminal.Dim, "%s", strings.TrimRight(p.cells(s.heading, widths), " ")))
	for i, row := range s.rows[:shown] {
		second, rest := p.cells(row[1:2], widths[1:]), strings.TrimRight(p.cells(row[2:], widths[2:]), " ")
		if rest == "" {
			second = strings.TrimRight(second, " ")
		}
		p.line(text("%s", p.cells(row[:1], widths)), colored(s.colors[i], "%s", second), text("%s", rest))
	}
	if more > 0 && roomForMore {
		p.line(colored(terminal.Dim, "%d more", more))
	}
	*room -= len(p.lines) - before
}

// cells aligns cells, all but a last column that has what is left of the line.
func (p *clusterPage) cells(row []string, widths []int) string {
	var b strings.Builder
	for i, text := range row {
		if i == len(widths)-1 {
			b.WriteString(cell(text))
			continue
		}
		b.WriteString(p.style.Pad(p.style.Fit(cell(text), widths[i]), widths[i]) + "  ")
	}
	return b.String()
}

package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/internal/watch"
	"github.com/azml-go/azml/run"
)

// runPage is a page of a terminal that shows a run.
type runPage struct {
	style         terminal.Style
	width, height int
	now           time.Time
	still         bool // nobody can push keys

	lines []string
}

func (v *runPage) line(spans ...terminal.Span) {
	v.lines = append(v.lines, v.style.Spans(v.width, spans...))
}

// text is a span without a color.
func text(format string, args ...any) terminal.Span {
	return terminal.Span{Text: fmt.Sprintf(format, args...)}
}

func colored(c terminal.Color, format string, args ...any) terminal.Span {
	return terminal.Span{Color: c, Text: fmt.Sprintf(format, args...)}
}

// draw lays the page out: the head as it is; what is left of the height goes
// to metrics and the output. When there is not enough for both, the output has
// a third of it, or a few lines.
func (v *runPage) draw(s *watch.State) {
	v.head(&s.Details)
	v.progress(s.Progress)
	v.machine(s.Machine())
	if s.Trouble != "" {
		v.line(colored(terminal.Red, "%s", s.Trouble))
	}
	v.children(s.Children)
	room := v.height - len(v.lines)
	if !v.still {
		room-- // the last line
	}
	output := s.Output.Last(v.height)
	forOutput := section(len(output))
	if rest := room - section(len(s.Metrics)); rest < forOutput {
		forOutput = min(forOutput, max(rest, room/3, min(room/2, 3+sectionFrame)))
	}
	if forOutput <= sectionFrame {
		forOutput = 0
	}
	v.metrics(s.Metrics, room-forOutput)
	v.output(output, forOutput)
	if !v.still {
		v.lines = v.lines[:min(len(v.lines), max(0, v.height-1))]
		v.line(colored(terminal.Dim, "q leaves, the run goes on"))
	}
}

// sectionFrame is what a section has besides its rows: an empty line and a
// heading.
const sectionFrame = 2

// section gives how many lines a section with so many rows takes.
func section(rows int) int {
	if rows == 0 {
		return 0
	}
	return rows + sectionFrame
}

func statusColor(s run.Status) terminal.Color {
	switch s {
	case run.StatusCompleted:
		return terminal.Green
	case run.StatusFailed, run.StatusNotResponding:
		return terminal.Red
	}
	return terminal.Yellow
}

func (v *runPage) head(d *run.Details) {
	end := cmp.Or(d.Ended, v.now)
	v.line(colored(terminal.Bold, "%s", d.RunID), text("  "), colored(statusColor(d.Status), "%s", d.Status),
		text(" since %s, %s in all", d.Since.In(v.now.Location()).Format(time.TimeOnly), brief(end.Sub(d.Created))))
	if name := what(*d); name != "" {
		v.line(colored(terminal.Dim, "%s", name))
	}
	switch {
	case d.Error != nil:
		v.line(colored(terminal.Red, "%s", d.Error.Message))
	case d.Reason != "":
		v.line(colored(terminal.Dim, "%s", d.Reason))
	}
	if d.WaitsFor != "" {
		v.line(colored(terminal.Yellow, "waits for %s", d.WaitsFor))
	}
}

// progress shows how far the run is.
func (v *runPage) progress(p watch.Progress) {
	if !p.Known() {
		return
	}
	const barWidth = 24
	bar := ""
	if part, ok := p.Part(); ok && v.width >= 2*barWidth {
		bar = v.style.Bar(part, barWidth) + " "
	}
	v.line(terminal.Span{Color: terminal.Cyan, Text: bar}, text("%s", progressText(p)))
}

// progressText says in a line how far a run is.
func progressText(p watch.Progress) string {
	var parts []string
	part, ok := p.Part()
	if ok {
		parts = append(parts, fmt.Sprintf("%.0f%%", 100*part))
	}
	switch {
	case p.Unit == "":
	case ok:
		parts = append(parts, terminal.Number(p.Done)+" of "+terminal.Number(p.Total)+" "+p.Unit)
	default:
		parts = append(parts, terminal.Number(p.Done)+" "+p.Unit)
	}
	unit := strings.TrimSuffix(p.Unit, "s")
	switch {
	case p.Rate == 0 || unit == "":
	case p.Rate >= 100:
		parts = append(parts, fmt.Sprintf("%.0f %s/s", p.Rate, p.Unit))
	case p.Rate >= 1:
		parts = append(parts, fmt.Sprintf("%.3g %s/s", p.Rate, p.Unit))
	default:
		parts = append(parts, fmt.Sprintf("%.3g s/%s", 1/p.Rate, unit))
	}
	if p.Left > 0 {
		parts = append(parts, "ETA "+brief(p.Left))
	}
	return strings.Join(parts, ", ")
}

// machine shows how busy the machine is.
func (v *runPage) machine(metrics []*watch.Metric) {
	const trend = 12
	var spans []terminal.Span
	for _, m := range metrics {
		label, percent, ok := machineLabel(m)
		if !ok {
			continue
		}
		if len(spans) > 0 {
			spans = append(spans, text("  "))
		}
		spans = append(spans, text("%s %.0f%% ", label, percent), colored(terminal.Green, "%s", v.style.Sparkline(m.Trend, trend)))
	}
	if len(spans) > 0 {
		v.line(spans...)
	}
}

// machineLabel gives a short name and the value of a metric of the machine that
// is a percentage, by MLflow's names such as "cpu_utilization_percentage".
func machineLabel(m *watch.Metric) (label string, percent float64, ok bool) {
	name, isPercentage := strings.CutSuffix(strings.TrimPrefix(m.Name, run.SystemPrefix), "_percentage")
	percent, isNumber := m.Last.Number()
	name = strings.Replace(name, "system_", "", 1) // behind the node, if it says one
	name = strings.TrimSuffix(strings.TrimSuffix(name, "_utilization"), "_usage")
	name = strings.NewReplacer("cpu", "CPU", "gpu", "GPU", "_", " ").Replace(name)
	return name, percent, isPercentage && isNumber
}

func (v *runPage) children(children []run.Details) {
	if len(children) == 0 {
		return
	}
	counts := map[run.Status]int{}
	for _, d := range children {
		counts[d.Status]++
	}
	spans := []terminal.Span{text("%s:", count(len(children), "child run"))}
	for _, s := range slices.Sorted(maps.Keys(counts)) {
		spans = append(spans, colored(statusColor(s), " %d %s", counts[s], s))
	}
	v.line(spans...)
	const mostShown = 5
	shown := 0
	for _, d := range children {
		if d.Status.Terminal() || shown == mostShown {
			continue
		}
		shown++
		v.line(text("  %s  ", d.RunID), colored(statusColor(d.Status), "%s", d.Status), text(" %s %s", brief(v.now.Sub(d.Created)), what(d)))
	}
}

// output shows the last lines that fit into the room.
func (v *runPage) output(lines []string, room int) {
	shown := min(len(lines), room-sectionFrame)
	if shown < 1 {
		return
	}
	v.line()
	v.line(colored(terminal.Dim, "OUTPUT"))
	for _, line := range lines[len(lines)-shown:] {
		v.line(terminal.Span{Text: line})
	}
}

// metricText gives the last value of a metric in one word, or the kind of what
// has no such form.
func metricText(m run.Metric) string {
	switch value := m.Value.(type) {
	case float64:
		return terminal.Number(value)
	case int64:
		return strconv.FormatInt(value, 10)
	case string, bool:
		if m.Kind == run.MetricScalar {
			return fmt.Sprint(value)
		}
	case nil:
		return "null"
	}
	return string(m.Kind)
}

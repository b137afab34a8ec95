package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/run"
)

// compareRow is a line of a comparison: a cell for each run, or a heading
// without cells.
type compareRow struct {
	label string
	part  string // of what label names, in a column of its own
	cells []string
	best  []bool // the cells to be set off, none when nil
}

// comparison makes the rows of a comparison for people.
type comparison struct {
	*run.Comparison
	called titles // of the experiments
	flags  *compareFlags
	style  terminal.Style
	rows   []compareRow
}

// drawComparison prints a table with a column for each run. Where the terminal
// is too narrow for all, it prints several, one below the other.
func (a *app) drawComparison(c *run.Comparison, called titles, f *compareFlags) error {
	p := &comparison{Comparison: c, called: called, flags: f, style: a.style()}
	p.facts()
	p.labels("Parameters", c.Params)
	p.labels("Tags", c.Tags)
	p.metrics()
	width := 0 // no end, as for programs
	if terminal.IsTerminal(a.stdout) {
		width = a.width()
	}
	_, err := io.WriteString(a.stdout, p.draw(width))
	return err
}

func (p *comparison) row(label string, cell func(d *run.Details) string) {
	row := compareRow{label: label}
	for i := range p.Runs {
		row.cells = append(row.cells, cell(&p.Runs[i]))
	}
	if strings.Join(row.cells, "") != "" {
		p.rows = append(p.rows, row)
	}
}

// facts are the rows of the runs' records.
func (p *comparison) facts() {
	same := map[bool]string{true: "same", false: "differs"}
	p.row("Name", func(d *run.Details) string { return d.DisplayName })
	p.row("Experiment", func(d *run.Details) string { return p.called.of(d.Experiment) })
	p.row("Status", func(d *run.Details) string { return string(d.Status) })
	p.row("Created", func(d *run.Details) string { return ago(d.Created) })
	p.row("Duration", func(d *run.Details) string { return took(d.Started, d.Ended) })
	const shortID = 12
	p.row("Snapshot, "+same[p.SameSnapshot], func(d *run.Details) string { return d.SnapshotID[:min(len(d.SnapshotID), shortID)] })
	p.row("Environment, "+same[p.SameEnvironment], func(d *run.Details) string { return d.Environment })
}

// labels are the rows of the labels that differ, or of all.
func (p *comparison) labels(what string, all []run.LabelComparison) {
	shown := all
	if !p.flags.all {
		shown = slices.DeleteFunc(slices.Clone(all), func(l run.LabelComparison) bool { return !l.Differs })
	}
	if len(all) == 0 {
		return
	}
	heading := what
	if same := len(all) - len(shown); same > 0 {
		if len(shown) > 0 {
			heading += " that differ"
		}
		heading += fmt.Sprintf(" (%d the same: --all shows them)", same)
	}
	p.rows = append(p.rows, compareRow{}, compareRow{label: heading})
	for _, l := range shown {
		p.row("  "+l.Name, func(d *run.Details) string {
			value, ok := l.Values[d.RunID]
			if !ok {
				return "-"
			}
			return cmp.Or(value, `""`)
		})
	}
}

// metrics are three rows for each metric with numbers, else one.
func (p *comparison) metrics() {
	if len(p.Metrics) == 0 {
		return
	}
	p.rows = append(p.rows, compareRow{}, compareRow{label: "Metrics"})
	maximize, minimize := pattern(p.flags.maximize), pattern(p.flags.minimize)
	for _, m := range p.Metrics {
		great := maximize != nil && maximize(m.Name)
		small := minimize != nil && minimize(m.Name)
		least, greatest := small || !great, great || !small
		p.metric("  "+m.Name, "last", m, least, greatest, func(s run.Summary) (float64, string) {
			v, _ := s.Last.Number()
			return v, metricText(s.Last)
		})
		if slices.ContainsFunc(p.Runs, func(d run.Details) bool { return m.Summaries[d.RunID].Numbers > 0 }) {
			p.metric("", "min", m, least, false, func(s run.Summary) (float64, string) { return s.Min, terminal.Number(s.Min) })
			p.metric("", "max", m, false, greatest, func(s run.Summary) (float64, string) { return s.Max, terminal.Number(s.Max) })
		}
	}
}

// metric adds a row with the least and the greatest value marked, where that
// tells something.
func (p *comparison) metric(label, part string, m run.MetricComparison, markLeast, markGreatest bool, value func(run.Summary) (float64, string)) {
	row := compareRow{label: label, part: part, best: make([]bool, len(p.Runs))}
	numbers := map[int]float64{}
	for i, d := range p.Runs {
		s, ok := m.Summaries[d.RunID]
		text := "-"
		if ok {
			var v float64
			v, text = value(s)
			if _, isNumber := s.Last.Number(); isNumber && s.Numbers > 0 && v == v {
				numbers[i] = v
			}
		}
		row.cells = append(row.cells, text)
	}
	least, greatest, ok := extremes(numbers)
	for i, v := range numbers {
		if !ok {
			break
		}
		if markLeast && v == least {
			row.cells[i] += " " + p.mark("↓", "<")
			row.best[i] = true
		}
		if markGreatest && v == greatest {
			row.cells[i] += " " + p.mark("↑", ">")
			row.best[i] = true
		}
	}
	p.rows = append(p.rows, row)
}

func (p *comparison) mark(text, ascii string) string {
	if p.style.Unicode {
		return text
	}
	return ascii
}

// extremes finds the least and the greatest; ok is false when they are one.
func extremes(numbers map[int]float64) (least, greatest float64, ok bool) {
	first := true
	for _, v := range numbers {
		if first {
			least, greatest, first = v, v, false
		}
		least, greatest = min(least, v), max(greatest, v)
	}
	return least, greatest, least != greatest
}

// draw gives the table in a width, without end when that is 0.
func (p *comparison) draw(width int) string {
	const between, leastCell, mostCell = 2, 10, 32
	label, cell := 0, leastCell
	for _, row := range p.rows {
		if row.cells != nil {
			label = max(label, terminal.Width(p.labelOf(row, 0)))
		}
		for _, text := range row.cells {
			cell = max(cell, terminal.Width(p.style.Text(text)))
		}
	}
	for _, d := range p.Runs {
		cell = max(cell, len(d.RunID))
	}
	columns := len(p.Runs)
	if width > 0 {
		cell = min(cell, mostCell)
		label = max(min(label, width-cell-between), min(label, max(width/3, min(14, width/2))))
		// As many runs in a table as have room, with narrower cells if that helps.
		columns = max(1, min(columns, (width-label)/(leastCell+between)))
		cell = max(1, min(cell, (width-label)/columns-between))
	}
	var b strings.Builder
	for from := 0; from < len(p.Runs); from += columns {
		if from > 0 {
			b.WriteString("\n")
		}
		p.drawBlock(&b, from, min(from+columns, len(p.Runs)), label, cell)
	}
	return b.String()
}

// labelOf gives what stands before the cells, cut to a width unless that is 0;
// what a row is about stays.
func (p *comparison) labelOf(row compareRow, width int) string {
	const widest = 6 // "  last"
	switch {
	case width == 0 && row.part == "":
		return p.style.Text(row.label)
	case width == 0:
		return p.style.Text(row.label) + p.style.Pad("  "+row.part, widest)
	case row.part == "":
		return p.style.Pad(row.label, width)
	}
	return p.style.Pad(row.label, width-widest) + p.style.Pad("  "+row.part, min(width, widest))
}

// drawBlock draws the columns of some of the runs.
func (p *comparison) drawBlock(b *strings.Builder, from, to, label, cell int) {
	write := func(row compareRow, cells []string, color func(i int) terminal.Color) {
		line := p.labelOf(row, label)
		for i, text := range cells {
			line += "  " + p.style.Paint(color(i), p.style.Pad(text, cell))
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	var ids []string
	for _, d := range p.Runs[from:to] {
		ids = append(ids, shortenID(d.RunID, cell))
	}
	write(compareRow{}, ids, func(int) terminal.Color { return terminal.Bold })
	for _, row := range p.rows {
		if row.cells == nil {
			b.WriteString(p.style.Paint(terminal.Bold, p.style.Text(row.label)) + "\n")
			continue
		}
		write(row, row.cells[from:to], func(i int) terminal.Color {
			if row.best != nil && row.best[from+i] {
				return terminal.Green
			}
			return ""
		})
	}
}

// shortenID cuts a run's ID in its middle: IDs of one experiment begin alike.
func shortenID(id string, width int) string {
	if len(id) <= width || width < 4 {
		return id
	}
	end := (width - 1) * 2 / 3
	return id[:width-1-end] + "~" + id[len(id)-end:]
}

// writeComparison writes a comparison as CSV: a row for each parameter, tag
// and summary of a metric, with a column for each run.
func (a *app) writeComparison(c *run.Comparison) error {
	w := csv.NewWriter(a.stdout)
	row := func(what, name string, cell func(d run.Details) string) {
		cells := []string{what, name}
		for _, d := range c.Runs {
			cells = append(cells, cell(d))
		}
		_ = w.Write(a.harmless(cells)) // w.Error tells
	}
	row("what", "name", func(d run.Details) string { return d.RunID })
	row("run", "name", func(d run.Details) string { return d.DisplayName })
	row("run", "experiment", func(d run.Details) string { return d.Experiment })
	row("run", "status", func(d run.Details) string { return string(d.Status) })
	row("run", "seconds", func(d run.Details) string {
		if d.Started.IsZero() || d.Ended.IsZero() {
			return ""
		}
		return strconv.FormatFloat(d.Ended.Sub(d.Started).Seconds(), 'f', 3, 64)
	})
	row("run", "snapshot", func(d run.Details) string { return d.SnapshotID })
	row("run", "environment", func(d run.Details) string { return d.Environment })
	for _, l := range c.Params {
		row("param", l.Name, func(d run.Details) string { return l.Values[d.RunID] })
	}
	for _, l := range c.Tags {
		row("tag", l.Name, func(d run.Details) string { return l.Values[d.RunID] })
	}
	for _, m := range c.Metrics {
		number := func(value func(run.Summary) float64) func(d run.Details) string {
			return func(d run.Details) string {
				if s := m.Summaries[d.RunID]; s.Numbers > 0 {
					return strconv.FormatFloat(value(s), 'g', -1, 64)
				}
				return ""
			}
		}
		row("metric.last", m.Name, func(d run.Details) string { return csvValue(m.Summaries[d.RunID].Last) })
		row("metric.min", m.Name, number(func(s run.Summary) float64 { return s.Min }))
		row("metric.max", m.Name, number(func(s run.Summary) float64 { return s.Max }))
	}
	w.Flush()
	return w.Error()
}

package main

import (
	"strconv"

	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/internal/watch"
)

// The widths of the columns of metrics.
const (
	leastTrend  = 8
	mostTrend   = 40
	mostValue   = 14
	betweenCols = 2
)

// metricRow is a metric as it is shown.
type metricRow struct {
	name, last, min, max, step string
	trend                      *terminal.Series
}

func newMetricRow(m *watch.Metric) metricRow {
	row := metricRow{name: m.Name, last: metricText(m.Last), step: strconv.FormatInt(m.Last.Step, 10), trend: m.Trend}
	if m.Numbers > 0 {
		row.min, row.max = terminal.Number(m.Min), terminal.Number(m.Max)
	}
	return row
}

// metrics shows as many metrics as fit into the room, one on a line, below a
// heading; the last line says how many more there are.
func (v *runPage) metrics(all []*watch.Metric, room int) {
	shown := min(len(all), room-sectionFrame)
	if shown < 1 {
		return
	}
	if shown < len(all) && shown > 1 {
		shown-- // for the line that says so
	}
	rows := []metricRow{{"METRIC", "LAST", "MIN", "MAX", "STEP", nil}}
	for _, m := range all[:shown] {
		rows = append(rows, newMetricRow(m))
	}
	v.line()
	c := v.columns(rows)
	for i, row := range rows {
		spans := []terminal.Span{text("%s", v.style.Pad(row.name, c.name))}
		if c.trend > 0 {
			spans = append(spans, text("  "), colored(terminal.Cyan, "%s", v.style.Pad(v.trend(row, c.trend), c.trend)))
		}
		for j, cell := range []string{row.last, row.min, row.max, row.step} {
			if c.values[j] > 0 {
				spans = append(spans, text("  %s", v.style.PadLeft(cell, c.values[j])))
			}
		}
		if i == 0 {
			for j := range spans {
				spans[j].Color = terminal.Dim
			}
		}
		v.line(spans...)
	}
	if more := len(all) - shown; more > 0 && shown+sectionFrame < room {
		v.line(colored(terminal.Dim, "%s", "and "+count(more, "more metric")+"; --metric picks"))
	}
}

func (v *runPage) trend(row metricRow, width int) string {
	if row.trend == nil {
		return "TREND"
	}
	return v.style.Sparkline(row.trend, width)
}

// columns are the widths of the columns of metrics; 0 leaves one out.
type columns struct {
	name, trend int
	values      [4]int // last, min, max, step
}

// columns fits the columns into the width. The step goes first, then the
// greatest, the least value and the trend; name and last value stay.
func (v *runPage) columns(rows []metricRow) columns {
	var c columns
	for _, row := range rows {
		c.name = max(c.name, terminal.Width(v.style.Fit(row.name, v.width)))
		for j, cell := range []string{row.last, row.min, row.max, row.step} {
			c.values[j] = max(c.values[j], terminal.Width(v.style.Fit(cell, mostValue)))
		}
	}
	leastName := min(c.name, max(8, v.width/3))
	rest := func() int {
		rest := v.width - leastName
		for _, w := range c.values {
			if w > 0 {
				rest -= w + betweenCols
			}
		}
		return rest
	}
	for j := 3; j > 0 && rest() < leastTrend+betweenCols; j-- {
		c.values[j] = 0
	}
	c.values[0] = max(1, min(c.values[0], v.width-leastName-betweenCols))
	if c.trend = min(rest()-betweenCols, mostTrend); c.trend < leastTrend {
		c.trend = 0
	}
	used := 0
	if c.trend > 0 {
		used = c.trend + betweenCols
	}
	c.name = min(c.name, leastName+max(0, rest()-used))
	return c
}

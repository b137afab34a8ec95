package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/azml-go/azml/run"
)

// The size of a chart in characters; each holds 2 × 4 dots.
const (
	chartHeight = 10
	leastWidth  = 30
	mostWidth   = 120
)

// systemPrefix begins the names of what the library measures of the machine.
const systemPrefix = "system/"

// point is a value at a step.
type point struct{ x, y float64 }

// plotMetrics draws a chart of each metric that has numbers, in the order of
// their first points, those of the machine after the script's.
func (a *app) plotMetrics(ctx context.Context, r *run.Run, names []string) error {
	series := map[string][]point{}
	var order []string
	for m, err := range r.Metrics(ctx, &run.MetricsOptions{Names: names}) {
		if err != nil {
			return err
		}
		y, ok := m.Number()
		if !ok || math.IsNaN(y) || math.IsInf(y, 0) {
			continue
		}
		if _, seen := series[m.Name]; !seen {
			order = append(order, m.Name)
		}
		series[m.Name] = append(series[m.Name], point{float64(m.Step), y})
	}
	ofMachine := func(name string) bool { return strings.HasPrefix(name, systemPrefix) }
	order = slices.Concat(slices.DeleteFunc(slices.Clone(order), ofMachine),
		slices.DeleteFunc(order, func(name string) bool { return !ofMachine(name) }))
	if len(order) == 0 {
		a.say("No metrics with numbers to draw.")
	}
	for i, name := range order {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		if _, err := fmt.Fprintf(a.stdout, "%s\n%s", cell(name), chart(byStep(series[name]), a.width())); err != nil {
			return err
		}
	}
	return nil
}

// width gives the number of columns to draw in.
func (a *app) width() int {
	const usual = 80
	if f, ok := a.stdout.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil {
			return max(leastWidth, min(columns, mostWidth))
		}
	}
	return usual
}

// byStep gives the points as they are when their steps tell them apart, else
// numbered from 0.
func byStep(points []point) []point {
	for _, p := range points {
		if p.x != points[0].x {
			return points
		}
	}
	for i := range points {
		points[i].x = float64(i)
	}
	return points
}

// chart draws a line through the points with the dots of Braille characters,
// between an axis of values and one of steps.
func chart(points []point, width int) string {
	low, high := bounds(points)
	labels := []string{number(high.y), number((low.y + high.y) / 2), number(low.y)}
	margin := max(len(labels[0]), len(labels[1]), len(labels[2]))
	d := newDots(max(leastWidth/2, width-margin-3), chartHeight)
	column := func(p point) int { return scale(p.x, low.x, high.x, d.width*2-1) }
	line := func(p point) int { return d.height*4 - 1 - scale(p.y, low.y, high.y, d.height*4-1) }
	for i, p := range points {
		from := points[max(0, i-1)]
		d.line(column(from), line(from), column(p), line(p))
	}
	var b strings.Builder
	for i, text := range d.rows() {
		label := ""
		switch i {
		case 0:
			label = labels[0]
		case d.height / 2:
			label = labels[1]
		case d.height - 1:
			label = labels[2]
		}
		fmt.Fprintf(&b, "%*s ┤%s\n", margin, label, strings.TrimRight(text, "\u2800"))
	}
	left, right := number(low.x), number(high.x)
	fmt.Fprintf(&b, "%*s └%s\n%*s  %s%*s\n", margin, "", strings.Repeat("─", d.width), margin, "", left, d.width-len(left), right)
	return b.String()
}

func bounds(points []point) (low, high point) {
	low, high = points[0], points[0]
	for _, p := range points {
		low = point{min(low.x, p.x), min(low.y, p.y)}
		high = point{max(high.x, p.x), max(high.y, p.y)}
	}
	return low, high
}

// scale maps v from low…high to 0…most; the middle when there is no range.
func scale(v, low, high float64, most int) int {
	if high == low {
		return most / 2
	}
	// Halves, so that the range of the largest numbers does not overflow.
	return int(math.Round((v/2 - low/2) / (high/2 - low/2) * float64(most)))
}

// dots is a field of Braille characters, each 2 dots wide and 4 high.
type dots struct {
	width, height int
	cells         [][]rune
}

func newDots(width, height int) *dots {
	d := &dots{width: width, height: height, cells: make([][]rune, height)}
	for i := range d.cells {
		d.cells[i] = []rune(strings.Repeat("\u2800", width))
	}
	return d
}

// brailleBits are the bits of the dots of a character by line and column.
var brailleBits = [4][2]rune{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

func (d *dots) set(x, y int) { d.cells[y/4][x/2] |= brailleBits[y%4][x%2] }

// line sets the dots between two, which are given by column and line.
func (d *dots) line(x0, y0, x1, y1 int) {
	steps := max(abs(x1-x0), abs(y1-y0))
	for i := range steps + 1 {
		part := float64(i) / float64(max(steps, 1))
		d.set(x0+int(math.Round(float64(x1-x0)*part)), y0+int(math.Round(float64(y1-y0)*part)))
	}
}

func (d *dots) rows() []string {
	rows := make([]string, d.height)
	for i, c := range d.cells {
		rows[i] = string(c)
	}
	return rows
}

func abs(n int) int { return max(n, -n) }

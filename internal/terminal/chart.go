package terminal

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Chart is a line chart of one or more series, with an axis of values and one
// of steps. A single series, or several in colors, are drawn with the fine dots
// of Braille characters; several without colors, or in ASCII, with a character
// of their own each.
type Chart struct {
	// Style says what can be drawn.
	Style Style
	// Width and Height are the size of the whole, without the legend, in
	// characters. Less than 20 × 3 is taken as that.
	Width, Height int
	// Log makes the axis of values logarithmic. Values of 0 and below have no
	// place on it and are left out.
	Log bool

	lines []line
}

// line is a series with its name.
type line struct {
	name   string
	series *Series
}

// Add adds a series. One without points takes its place in the legend only.
func (c *Chart) Add(name string, series *Series) {
	c.lines = append(c.lines, line{name, series})
}

var (
	colors = []Color{Cyan, Yellow, Magenta, Green, Red, Blue}
	marks  = []rune("*o+x#@%&")
)

// frame is the part of the plane that a chart shows.
type frame struct{ left, right, low, high float64 }

// Draw gives the chart as lines with their ends, with a legend when there are
// several series. It is empty when there is no point to show.
func (c *Chart) Draw() string {
	f, ok := c.frame()
	if !ok {
		return ""
	}
	height := max(c.Height-2, 1)
	labels := c.labels(f, height)
	margin := 0
	for _, text := range labels {
		margin = max(margin, len(text))
	}
	field := c.field(max(20, c.Width)-margin-2, height, f)
	var b strings.Builder
	for i, row := range field.rows(c.Style) {
		fmt.Fprintf(&b, "%*s %s%s\n", margin, labels[i], c.Style.pick("┤", "|"), row)
	}
	fmt.Fprintf(&b, "%*s %s%s\n", margin, "", c.Style.pick("└", "+"), strings.Repeat(c.Style.pick("─", "-"), field.width))
	left, right := step(f.left), step(f.right)
	fmt.Fprintf(&b, "%*s  %s%*s\n", margin, "", left, max(field.width-len(left), len(right)+1), right)
	c.legend(&b, field.fine)
	return b.String()
}

// value places a value on the axis; ok is false when it has no place there.
func (c *Chart) value(y float64) (_ float64, ok bool) {
	if !c.Log {
		return y, true
	}
	return math.Log10(y), y > 0
}

// frame finds the part of the plane that holds all points. Points whose steps
// are all the same are numbered instead.
func (c *Chart) frame() (f frame, ok bool) {
	f = frame{math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)}
	for _, l := range c.lines {
		for x, b := range l.points() {
			for _, y := range []float64{b.low, b.high} {
				if y, fits := c.value(y); fits {
					f = frame{min(f.left, x), max(f.right, b.end), min(f.low, y), max(f.high, y)}
					ok = true
				}
			}
		}
	}
	return f, ok
}

// points yields the series' buckets with their places on the axis of steps: by
// step, or by number when no steps were given that tell them apart.
func (l line) points() func(yield func(float64, bucket) bool) {
	buckets := l.series.buckets
	stepped := false
	for _, b := range buckets {
		stepped = stepped || b.x != buckets[0].x
	}
	return func(yield func(float64, bucket) bool) {
		n := 0
		for _, b := range buckets {
			if !stepped {
				b.x, b.end = float64(n), float64(n+b.n-1)
			}
			n += b.n
			if !yield(b.x, b) {
				return
			}
		}
	}
}

// step gives a step with all its digits, unless there are too many.
func step(x float64) string {
	if math.Abs(x) < 1e12 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return Number(x)
}

// labels gives the values beside the rows: at both ends and, where there is
// room, at every third row; only in the middle when all are the same.
func (c *Chart) labels(f frame, height int) []string {
	labels := make([]string, height)
	for digits := 4; digits < 17; digits++ {
		seen := map[string]bool{}
		shown := 0
		for i := range labels {
			if !labeled(i, height, f.low == f.high) {
				continue
			}
			labels[i] = strconv.FormatFloat(c.at(f, i, height), 'g', digits, 64)
			seen[labels[i]] = true
			shown++
		}
		if len(seen) == shown {
			break
		}
	}
	return labels
}

// labeled tells whether the row has a label.
func labeled(row, height int, flat bool) bool {
	if flat {
		return row == height/2
	}
	return row == height-1 || row%3 == 0 && height-1-row >= 3
}

// at gives the value at a row.
func (c *Chart) at(f frame, row, height int) float64 {
	part := 1 - float64(row)/float64(max(height-1, 1))
	y := f.low*(1-part) + f.high*part
	if f.low == f.high {
		y = f.low
	}
	if c.Log {
		return math.Pow(10, y)
	}
	return y
}

func (c *Chart) field(width, height int, f frame) *field {
	d := &field{width: max(1, width), height: height, fine: c.Style.Unicode && (len(c.lines) < 2 || c.Style.Color)}
	d.cells = make([]fieldCell, d.width*d.height)
	columns, rows := d.size()
	for i, l := range c.lines {
		d.line = i
		before := -1
		var beforeRow int
		for x, b := range l.points() {
			y, fits := c.value(b.mean)
			if !fits {
				before = -1
				continue
			}
			column := scale(x, f.left, f.right, columns-1)
			row := func(y float64) int { return rows - 1 - scale(y, f.low, f.high, rows-1) }
			if before >= 0 {
				d.stroke(before, beforeRow, column, row(y))
			}
			low, fits := c.value(b.low)
			if !fits {
				low = y
			}
			high, _ := c.value(b.high)
			d.stroke(column, row(low), column, row(high))
			before, beforeRow = column, row(y)
		}
	}
	return d
}

func (c *Chart) legend(b *strings.Builder, fine bool) {
	if len(c.lines) < 2 {
		return
	}
	for i, l := range c.lines {
		mark := string(marks[i%len(marks)])
		if fine {
			mark = "──"
		}
		note := ""
		if l.series.Len() == 0 {
			note = " (no numbers)"
		}
		fmt.Fprintf(b, "%s %s%s\n", c.Style.Paint(colors[i%len(colors)], mark), c.Style.Fit(l.name, max(20, c.Width)-3-len(note)), note)
	}
}

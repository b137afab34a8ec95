package terminal

import (
	"math"
	"strings"
)

var (
	blocks      = []rune("▁▂▃▄▅▆▇█")
	asciiBlocks = []rune(".:-=+*#@")
	eighths     = []rune(" ▏▎▍▌▋▊▉")
)

// Sparkline draws the shape of the series in one line of at most width
// columns, from its least to its greatest value. A series that stays the same
// is a line at half height.
func (s Style) Sparkline(series *Series, width int) string {
	levels := asciiBlocks
	if s.Unicode {
		levels = blocks
	}
	n := len(series.buckets)
	columns := min(n, max(width, 0))
	values := make([]float64, columns)
	low, high := math.Inf(1), math.Inf(-1)
	for i := range values {
		values[i] = mean(series.buckets[i*n/columns : (i+1)*n/columns])
		low, high = min(low, values[i]), max(high, values[i])
	}
	var b strings.Builder
	for _, v := range values {
		b.WriteRune(levels[scale(v, low, high, len(levels)-1)])
	}
	return b.String()
}

func mean(buckets []bucket) float64 {
	all := buckets[0]
	for _, b := range buckets[1:] {
		all = join(all, b)
	}
	return all.mean
}

// Bar draws how much of a whole is done, from 0 to 1, in width columns.
func (s Style) Bar(part float64, width int) string {
	inner := width - 2
	if inner < 1 {
		return ""
	}
	part = min(max(part, 0), 1)
	if !s.Unicode {
		done := int(part * float64(inner))
		return "[" + strings.Repeat("#", done) + strings.Repeat("-", inner-done) + "]"
	}
	done := int(part * float64(inner*len(eighths)))
	bar := strings.Repeat("█", done/len(eighths))
	if rest := done % len(eighths); rest > 0 {
		bar += string(eighths[rest])
	}
	return "[" + bar + strings.Repeat(" ", inner-(done+len(eighths)-1)/len(eighths)) + "]"
}

// scale maps v from low…high to 0…most; the middle when there is no range.
func scale(v, low, high float64, most int) int {
	if high == low {
		return most / 2
	}
	// Halves, so that the range of the largest numbers does not overflow.
	return int(math.Round((v/2 - low/2) / (high/2 - low/2) * float64(most)))
}

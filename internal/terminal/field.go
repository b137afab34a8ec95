package terminal

import (
	"math"
	"strings"
)

// field is what the lines of a chart are drawn on.
type field struct {
	width, height int
	fine          bool // each character has 2 × 4 dots
	cells         []fieldCell
	line          int // the one that is being drawn
}

// fieldCell is one character: the dots that are set and the line that was
// drawn there last.
type fieldCell struct {
	dots rune
	line int
}

// brailleBits are the bits of the dots of a character by row and column.
var brailleBits = [4][2]rune{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

const braille = '\u2800'

// size gives the number of dots in each direction.
func (f *field) size() (columns, rows int) {
	if f.fine {
		return f.width * 2, f.height * 4
	}
	return f.width, f.height
}

func (f *field) set(x, y int) {
	bit := rune(1)
	if f.fine {
		bit = brailleBits[y%4][x%2]
		x, y = x/2, y/4
	}
	cell := &f.cells[y*f.width+x]
	cell.dots |= bit
	cell.line = f.line
}

// stroke sets the dots between two, which are given by column and row.
func (f *field) stroke(x0, y0, x1, y1 int) {
	steps := max(abs(x1-x0), abs(y1-y0))
	for i := range steps + 1 {
		part := float64(i) / float64(max(steps, 1))
		f.set(x0+int(math.Round(float64(x1-x0)*part)), y0+int(math.Round(float64(y1-y0)*part)))
	}
}

// rows gives the characters, without the empty ones at the ends of rows.
func (f *field) rows(style Style) []string {
	rows := make([]string, f.height)
	for y := range rows {
		cells := f.cells[y*f.width : (y+1)*f.width]
		for len(cells) > 0 && cells[len(cells)-1].dots == 0 {
			cells = cells[:len(cells)-1]
		}
		var b strings.Builder
		for _, cell := range cells {
			b.WriteString(f.character(cell, style))
		}
		rows[y] = b.String()
	}
	return rows
}

func (f *field) character(cell fieldCell, style Style) string {
	if cell.dots == 0 {
		return " "
	}
	text := string(marks[cell.line%len(marks)])
	if f.fine {
		text = string(braille + cell.dots)
	}
	return style.Paint(colors[cell.line%len(colors)], text)
}

func abs(n int) int { return max(n, -n) }

package watch

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/azml-go/azml/internal/terminal"
)

// longestLine bounds what is kept of a line that does not end.
const longestLine = 1 << 14

// Tail is the end of a text: its last lines.
type Tail struct {
	// Count is the number of whole lines that there were.
	Count int

	most  int
	whole []string
	part  []byte // the line that has no end yet
}

// NewTail keeps at most so many lines, and the one that has no end yet.
func NewTail(most int) *Tail { return &Tail{most: most} }

// Write appends to the text. It never fails.
func (t *Tail) Write(data []byte) (int, error) {
	size := len(data)
	for {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			break
		}
		t.grow(data[:i])
		t.Count++
		t.whole = append(t.whole, terminal.Line(string(t.part)))
		if len(t.whole) > t.most {
			t.whole = slices.Delete(t.whole, 0, 1)
		}
		t.part = t.part[:0]
		data = data[i+1:]
	}
	t.grow(data)
	return size, nil
}

// grow adds to the line that goes on. Of a long one the end is kept: it may be
// a progress bar that begins anew after each carriage return.
func (t *Tail) grow(data []byte) {
	t.part = append(t.part, data...)
	if extra := len(t.part) - longestLine; extra > 0 {
		t.part = slices.Delete(t.part, 0, extra)
	}
}

// Last gives at most n of the last lines, clean, the one that goes on among
// them.
func (t *Tail) Last(n int) []string {
	lines := t.whole
	if text := terminal.Line(string(t.part)); text != "" {
		lines = append(slices.Clone(lines), text)
	}
	return lines[max(0, len(lines)-max(0, n)):]
}

// Since gives the whole lines after the first count, as far as they are kept,
// and how many are not.
func (t *Tail) Since(count int) (lines []string, lost int) {
	fresh := t.Count - count
	kept := min(fresh, len(t.whole))
	return t.whole[len(t.whole)-kept:], fresh - kept
}

func unlessEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

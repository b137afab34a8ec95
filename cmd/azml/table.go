package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/azml-go/azml/internal/terminal"
)

// table writes text for people: aligned columns, and sections below headings.
type table struct {
	out     io.Writer
	aligned bytes.Buffer
	rows    *tabwriter.Writer // nil when no row is under way
	err     error
}

// row writes one line of aligned cells. Empty ones are shown as "-", those at
// the end not at all.
func (t *table) row(cells ...any) {
	if t.rows == nil {
		t.rows = tabwriter.NewWriter(&t.aligned, 0, 0, 2, ' ', 0)
	}
	texts := make([]string, len(cells))
	filled := false
	for i := len(cells) - 1; i >= 0; i-- {
		texts[i] = cell(fmt.Sprint(cells[i]))
		if filled = filled || texts[i] != ""; filled && texts[i] == "" {
			texts[i] = "-"
		}
	}
	fmt.Fprintln(t.rows, strings.Join(texts, "\t"))
}

// field writes a name and its value, unless that is empty.
func (t *table) field(name string, value any) {
	if text := fmt.Sprint(value); text != "" && text != "[]" {
		t.row(name+":", text)
	}
}

// labels writes a section of keys and values, unless there are none.
func (t *table) labels(heading string, labels map[string]string) {
	if len(labels) == 0 {
		return
	}
	t.heading(heading)
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		t.row("  "+key, labels[key])
	}
}

// heading begins a section whose columns are aligned on their own.
func (t *table) heading(text string) { t.line("\n" + text) }

// line writes a line that is not aligned with others.
func (t *table) line(text string) {
	t.end()
	t.write([]byte(text + "\n"))
}

// end ends the alignment of the rows so far.
func (t *table) end() {
	if t.rows == nil {
		return
	}
	t.keep(t.rows.Flush())
	for line := range strings.Lines(t.aligned.String()) {
		t.write([]byte(strings.TrimRight(line, " \n") + "\n"))
	}
	t.rows = nil
	t.aligned.Reset()
}

func (t *table) flush() error {
	t.end()
	return t.err
}

func (t *table) write(text []byte) {
	_, err := t.out.Write(text)
	t.keep(err)
}

func (t *table) keep(err error) {
	if t.err == nil {
		t.err = err
	}
}

// cell makes text fit for a cell: one line, without what a terminal would obey.
func cell(text string) string { return strings.TrimRight(terminal.Clean(text), " ") }

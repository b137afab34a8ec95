package delimited

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"
	"unsafe"

	"github.com/azml-go/azml/internal/datafile"
	"github.com/azml-go/azml/internal/textvalue"
	"github.com/azml-go/azml/tabular"
)

// layout says what to make of the fields of a file's records.
type layout struct {
	opts   *Options
	fields []target        // for each field of a record
	schema tabular.Schema  // of the batches
	absent []int           // columns that no field is for
	nulls  map[string]bool // of opts
}

// target is what a field is for.
type target struct {
	kind    kind
	column  int // in the batch
	layouts []string
	// The values of the column in the block that is read; one of them is set.
	ints   []int64
	floats []float64
	bools  []bool
	texts  []string
}

// kind is the way that a field is read.
type kind uint8

const (
	skip kind = iota
	text
	whole
	fraction
	boolean
	instant
)

var kinds = map[tabular.Type]kind{tabular.Int: whole, tabular.Float: fraction, tabular.Bool: boolean, tabular.Time: instant}

// fault is what is wrong with a block. It is no error yet: it takes its file and
// the rows before the block to tell where it is.
type fault struct {
	row    int // in the block, from 0
	line   int // in the block, from 0
	column string
	what   string
}

// parser reads a block. It is used once.
type parser struct {
	scanner
	*layout
	fields  []target // the layout's, with the values of this block
	columns []tabular.Column
	row     int
	day     day
}

// parse reads the records of a block up to the first with a fault.
func (l *layout) parse(b block, sep byte) (*tabular.Batch, *fault) {
	if !utf8.Valid(b.data) {
		return &tabular.Batch{Columns: make([]tabular.Column, len(l.schema))}, l.badText(b, sep)
	}
	p := parser{scanner: newScanner(b.data, sep), layout: l, columns: make([]tabular.Column, len(l.schema))}
	p.fields = slices.Clone(l.fields)
	for i := range p.fields {
		if t := &p.fields[i]; t.kind != skip {
			c := l.opts.Pool.column(l.schema[t.column], b.lines)
			p.columns[t.column] = c
			t.ints, t.floats, t.bools, t.texts = c.Ints, c.Floats, c.Bools, c.Texts
		}
	}
	for _, c := range l.absent {
		p.columns[c] = tabular.NewColumn(l.schema[c], b.lines)
		p.columns[c].Nulls = make([]bool, b.lines)
		for i := range p.columns[c].Nulls {
			p.columns[c].Nulls[i] = true
		}
	}
	f := p.records()
	out := &tabular.Batch{Rows: p.row, Columns: p.columns}
	return out.Slice(0, p.row), f
}

// records reads records until the end or a fault.
func (p *parser) records() *fault {
	pos := 0
	for {
		begin := p.blank(pos)
		if begin >= len(p.data) {
			return nil
		}
		next, column, what := p.record(begin)
		if what != "" {
			return &fault{row: p.row, line: bytes.Count(p.data[:begin], []byte{'\n'}), column: column, what: what}
		}
		pos = next
		p.row++
	}
}

// record reads the record at pos and gives the place behind it, or the name of a
// column and what is wrong with it.
func (p *parser) record(pos int) (next int, column, what string) {
	for i := range p.fields {
		t := &p.fields[i]
		next, what = p.value(t, pos)
		if what != "" {
			if t.kind != skip {
				column = p.schema[t.column].Name
			}
			return 0, column, what
		}
		if p.data[next] == '\n' {
			if i+1 < len(p.fields) {
				return next + 1, "", p.short(i + 1)
			}
			return next + 1, "", ""
		}
		pos = next + 1
	}
	return 0, "", p.long(pos)
}

// value reads the field at pos into its column and gives the place of the
// separator or line break behind it. The usual form of each type is tried in one
// pass first.
func (p *parser) value(t *target, pos int) (next int, what string) {
	if len(p.nulls) == 0 {
		if next, ok := p.usual(t, pos); ok {
			return next, ""
		}
	}
	f, fault := p.field(pos)
	if fault != "" {
		return f.next, fault
	}
	if t.kind != skip && !p.set(t, f.text) && !p.opts.NullOnError {
		return f.next, fmt.Sprintf("%q is no %s", cut(f.text), p.schema[t.column].Type)
	}
	return f.next, ""
}

// usual reads the field when it has the usual form of its type.
func (p *parser) usual(t *target, pos int) (next int, ok bool) {
	switch t.kind {
	case whole:
		var v int64
		if v, next, ok = p.int(pos); ok {
			t.ints[p.row] = v
		}
	case fraction:
		var v float64
		if v, next, ok = p.float(pos); ok {
			t.floats[p.row] = v
		}
	case boolean:
		var v bool
		if v, next, ok = p.bool(pos); ok {
			t.bools[p.row] = v
		}
	case instant:
		if t.layouts != nil {
			return 0, false
		}
		var v int64
		if v, next, ok = p.time(pos, &p.day); ok {
			t.ints[p.row] = v
		}
	case text:
		var v []byte
		if v, next, ok = p.text(pos); ok {
			t.texts[p.row] = str(v)
		}
	}
	return next, ok
}

// str gives the bytes as a string without copying them.
func str(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the block is not written to behind what was read
}

// set puts the text into its column, as missing when it doesn't fit or says so.
func (p *parser) set(t *target, b []byte) (fits bool) {
	c := &p.columns[t.column]
	if len(b) == 0 && (t.kind != text || !p.opts.EmptyAsString) || len(p.nulls) > 0 && p.nulls[string(b)] {
		c.SetNull(p.row)
		return true
	}
	switch t.kind {
	case whole:
		c.Ints[p.row], fits = textvalue.Int(b)
	case fraction:
		c.Floats[p.row], fits = textvalue.Float(b)
	case boolean:
		c.Bools[p.row], fits = textvalue.Bool(b)
	case instant:
		var inRange bool
		c.Ints[p.row], fits, inRange = textvalue.Time(b, t.layouts)
		fits = fits && inRange
	default:
		c.Texts[p.row], fits = str(b), true
	}
	if !fits {
		c.SetNull(p.row)
	}
	return fits
}

// short is for a record that ends behind n fields.
func (p *parser) short(n int) (what string) {
	if !p.opts.NullOnError {
		return fmt.Sprintf("it has %d fields instead of %d", n, len(p.fields))
	}
	for _, t := range p.fields[n:] {
		if t.kind != skip {
			p.columns[t.column].SetNull(p.row)
		}
	}
	return ""
}

// long is for a record that goes on at pos behind its last field.
func (p *parser) long(pos int) (what string) {
	s := p.scanner
	fields, _, what := s.record(pos)
	if what != "" {
		return what
	}
	return fmt.Sprintf("it has %d fields instead of %d", len(p.fields)+len(fields), len(p.fields))
}

// badText finds the record that is not UTF-8.
func (l *layout) badText(b block, sep byte) *fault {
	bad := 0
	for bad < len(b.data) {
		r, n := utf8.DecodeRune(b.data[bad:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		bad += n
	}
	begin := b.data[:bytes.LastIndexByte(b.data[:bad], '\n')+1]
	s := newScanner(append(bytes.Clone(begin), make([]byte, datafile.Padding)...)[:len(begin)], sep)
	out := &fault{line: bytes.Count(begin, []byte{'\n'}), what: fmt.Sprintf("the bytes % x are not UTF-8: say which encoding the file has", b.data[bad:min(bad+4, len(b.data))])}
	for pos := s.blank(0); pos < len(s.data); pos = s.blank(pos) {
		_, next, what := s.record(pos)
		if what != "" {
			break
		}
		out.row++
		pos = next
	}
	return out
}

// cut bounds what goes into an error.
func cut(b []byte) []byte {
	const most = 40
	if len(b) > most {
		return append(bytes.Clone(b[:most]), "…"...)
	}
	return b
}

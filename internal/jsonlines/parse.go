package jsonlines

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/parquet-go/jsonlite"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/textvalue"
	"github.com/azml-go/azml/tabular"
)

// layout says which members become columns.
type layout struct {
	opts   *Options
	schema tabular.Schema // of the batches
	places map[string]int // of columns, by the names of members
}

func newLayout(schema tabular.Schema, names []string, opts *Options) (*layout, error) {
	if names == nil {
		names = schema.Names()
	}
	l := &layout{opts: opts, places: map[string]int{}}
	for i, name := range names {
		at := schema.Index(name)
		if at < 0 {
			return nil, fmt.Errorf("%w: there is no column %q", azml.ErrInvalid, name)
		}
		l.schema = append(l.schema, schema[at])
		l.places[name] = i
	}
	return l, nil
}

// space is what JSON takes between values.
const space = " \t\r\n"

// parser reads the lines of a job. It is used once.
type parser struct {
	*layout
	columns []tabular.Column
	filled  []int // for each column the row that it has a value of, counted from 1
	row     int
}

// parse reads all lines up to the first that is wrong.
func (l *layout) parse(j job) (*tabular.Batch, error) {
	most := bytes.Count(j.data, []byte{'\n'})
	p := parser{layout: l, columns: make([]tabular.Column, len(l.schema)), filled: make([]int, len(l.schema))}
	for i, f := range l.schema {
		p.columns[i] = tabular.NewColumn(f, most)
	}
	line := j.line
	var err error
	for data := range bytes.Lines(j.data) {
		line++
		if data = bytes.Trim(data, space); len(data) == 0 {
			continue
		}
		if fault := check(data); fault != "" {
			if l.opts.DropInvalid {
				continue
			}
			err = invalid(j.file.Name, line, "%s", fault)
			break
		}
		if fault := p.object(text(data)); fault != "" {
			err = invalid(j.file.Name, line, "%s", fault)
			break
		}
		p.row++
	}
	return (&tabular.Batch{Rows: p.row, Columns: p.columns}).Slice(0, p.row), err
}

// check says why a line is no JSON object. Its depth is bounded by encoding/json,
// which what comes after relies on.
func check(line []byte) (fault string) {
	switch {
	case !utf8.Valid(line):
		return "it is not UTF-8: say which encoding the file has"
	case line[0] != '{':
		return fmt.Sprintf("it is no JSON object, but begins with %q", line[:min(len(line), 20)])
	case !json.Valid(line):
		return "it is no JSON: " + reason(line)
	}
	return ""
}

// reason gives the words of encoding/json.
func reason(line []byte) string {
	var v json.RawMessage
	return strings.TrimPrefix(fmt.Sprint(json.Unmarshal(line, &v)), "json: ")
}

// object reads the members of a line that are columns.
func (p *parser) object(line string) (fault string) {
	it := jsonlite.Iterate(line)
	it.Next()
	it.Object(func(key string, err error) bool {
		column, wanted := p.places[key]
		if err != nil || !wanted {
			return err == nil
		}
		if !p.set(&p.columns[column], it) {
			p.columns[column].SetNull(p.row)
			if !p.opts.NullOnError {
				fault = fmt.Sprintf("column %q: it is no %s", key, p.schema[column].Type)
				return false
			}
		} else if p.columns[column].Null(p.row) && it.Kind() != jsonlite.Null { // a member that comes twice: the last counts
			p.columns[column].Nulls[p.row] = false
		}
		p.filled[column] = p.row + 1
		return true
	})
	for i := range p.columns {
		if p.filled[i] != p.row+1 {
			p.columns[i].SetNull(p.row)
		}
	}
	return fault
}

// set puts the value that the iterator is at into its column.
func (p *parser) set(c *tabular.Column, it *jsonlite.Iterator) (fits bool) {
	kind := it.Kind()
	v, err := it.Value()
	switch {
	case err != nil:
		return false
	case kind == jsonlite.Null:
		c.SetNull(p.row)
		return true
	}
	isText := kind == jsonlite.String
	switch c.Type {
	case tabular.Bool:
		c.Bools[p.row] = kind == jsonlite.True
		return kind == jsonlite.True || kind == jsonlite.False
	case tabular.Int:
		c.Ints[p.row], fits = textvalue.Int([]byte(v.String()))
	case tabular.Float:
		c.Floats[p.row], fits = textvalue.Float([]byte(v.String()))
	case tabular.Time:
		var inRange bool
		c.Ints[p.row], fits, inRange = textvalue.Time([]byte(v.String()), p.opts.Layouts[c.Name])
		fits = fits && inRange && isText
	case tabular.Nested:
		c.Texts[p.row], fits = v.JSON(), true
	default:
		c.Texts[p.row], fits = v.String(), true
	}
	return fits
}

// text gives the bytes as a string without a copy. They are not changed any more.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

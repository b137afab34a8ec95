package metrics

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// tableRow fixes the columns, their order and their encodings.
type tableRow struct {
	Name   string   `parquet:"name,dict"`
	Kind   string   `parquet:"kind,dict"`
	Type   string   `parquet:"type,dict"`
	Step   int64    `parquet:"step,delta"`
	Time   int64    `parquet:"time,delta,timestamp(nanosecond:utc)"`
	Value  *float64 `parquet:"value,optional"`
	Text   *string  `parquet:"text,optional"`
	Exact  []byte   `parquet:"exact,optional"`
	Writer string   `parquet:"writer,dict"`
	Seq    int64    `parquet:"seq,delta"`
	After  *int64   `parquet:"after,optional,timestamp(nanosecond:utc)"`
}

// The places of the columns.
const (
	columnName = iota
	columnKind
	columnType
	columnStep
	columnTime
	columnValue
	columnText
	columnExact
	columnWriter
	columnSeq
	columnAfter
	columnCount
)

var typeNames = [typeEnd]string{typeFloat: "float", typeInt: "int", typeBool: "bool", typeNil: "null", typeString: "string",
	typeList: "list", typeTable: "table"}

const (
	// writeRows is how many rows go to a column at once.
	writeRows = 4096
	// pageRows is how many are in a page.
	pageRows = 8 * writeRows
	// valueRows is how many are in a page of values: split into their bytes,
	// each of the eight parts is a block of zstd's, with a code of its own.
	valueRows = 32 * writeRows
)

// tableWriter writes tables as the row groups of a Parquet file.
type tableWriter struct {
	out    io.Writer
	w      *parquet.GenericWriter[tableRow]
	values []parquet.Value
}

func newTableWriter(out io.Writer) *tableWriter {
	return &tableWriter{out: out, values: make([]parquet.Value, 0, writeRows)}
}

// open begins the file. The encoding of its values is the one that makes those
// of the first table smallest.
func (w *tableWriter) open(t *table) {
	options := []parquet.WriterOption{
		parquet.Compression(&parquet.Zstd), parquet.CreatedBy("azml", "1", "metrics"),
		parquet.MaxRowsPerRowGroup(math.MaxInt64), parquet.SkipPageBounds("value"), parquet.SkipPageBounds("text"),
		parquet.SkipPageBounds("exact"), parquet.KeyValueMetadata("azml.metrics", "1"), parquet.DictionaryMaxBytes(1 << 20), parquet.PageBufferSize(pageBuffer(t)),
		// Names are bounds of pages, by which readers find a metric: whole ones.
		parquet.ColumnIndexSizeLimit(func([]string) int { return math.MaxInt32 }),
	}
	w.w = parquet.NewGenericWriter[tableRow](w.out, append(options, parquet.DefaultEncodingFor(parquet.Double, valueEncoding(t)))...)
}

// pageBuffer is the room for a page of each column: enough for the pages that
// are cut here, and little for a run that has logged little.
func pageBuffer(t *table) int {
	const most, row = 2 << 20, 16
	return min(max(t.rows(), writeRows/16)*row, most)
}

// write writes a table, unless it is empty, and empties it.
func (w *tableWriter) write(t *table) error {
	if t.rows() == 0 {
		return nil
	}
	if w.w == nil {
		w.open(t)
	}
	rows := t.sorted()
	for column, c := range w.w.ColumnWriters() {
		if err := w.column(c, column, t, rows); err != nil {
			return err
		}
	}
	t.reset()
	return w.w.Flush()
}

func (w *tableWriter) column(c *parquet.ColumnWriter, column int, t *table, rows []int32) error {
	cell, page := cellOf(column, t), pageRows
	if column == columnValue {
		page = valueRows
	}
	for done := 0; len(rows) > 0; {
		n := min(len(rows), writeRows)
		w.values = w.values[:0]
		for _, row := range rows[:n] {
			w.values = append(w.values, cell(int(row)))
		}
		if _, err := c.WriteRowValues(w.values); err != nil {
			return err
		}
		rows = rows[n:]
		if done += n; done%page == 0 {
			if err := c.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// close ends the file; one without points has the columns all the same.
func (w *tableWriter) close() error {
	if w.w == nil {
		w.open(newTable())
	}
	return w.w.Close()
}

// cellOf gives the function that gives a column's value in a row.
func cellOf(column int, t *table) func(row int) parquet.Value {
	perSeries := func(value func(*series) string) func(int) parquet.Value {
		values := make([]parquet.Value, len(t.series))
		for i, s := range t.series {
			values[i] = parquet.ByteArrayValue([]byte(value(s)))
		}
		return func(row int) parquet.Value { return values[t.of[row]] }
	}
	switch column {
	case columnName:
		return perSeries(func(s *series) string { return s.name })
	case columnKind:
		return perSeries(func(s *series) string { return string(s.kind.kind()) })
	case columnType:
		return perSeries(func(s *series) string { return typeNames[s.typ] })
	case columnStep:
		return func(row int) parquet.Value { return parquet.Int64Value(t.steps[row]) }
	case columnTime:
		return func(row int) parquet.Value { return parquet.Int64Value(t.times[row]) }
	case columnSeq:
		return func(row int) parquet.Value { return parquet.Int64Value(t.seqs[row]) }
	case columnWriter:
		writers := make([]parquet.Value, len(t.writers))
		for i, id := range t.writers {
			writers[i] = parquet.ByteArrayValue([]byte(id))
		}
		return func(row int) parquet.Value { return writers[t.by[row]] }
	}
	null := parquet.NullValue().Level(0, 0, column)
	if !t.some(column) {
		return func(int) parquet.Value { return null }
	}
	return func(row int) parquet.Value {
		if v, ok := optionalCell(column, t, row); ok {
			return v.Level(0, 1, column)
		}
		return null
	}
}

// some tells whether a column that may be null can be anything else: looking at
// each row takes longer than writing it.
func (t *table) some(column int) bool {
	switch column {
	case columnText:
		return slices.ContainsFunc(t.series, func(s *series) bool { return s.typ != typeFloat && s.typ != typeNil })
	case columnExact:
		return len(t.blobs) > 0
	case columnAfter:
		return len(t.after) > 0
	}
	return true
}

// optionalCell gives the value of a column that may be null.
func optionalCell(column int, t *table, row int) (parquet.Value, bool) {
	typ := t.series[t.of[row]].typ
	switch column {
	case columnValue:
		f, ok := number(typ, t.bits[row])
		return parquet.DoubleValue(f), ok
	case columnText:
		text, ok := text(raw{typ: typ, bits: t.bits[row], blob: t.blobs[row]})
		return parquet.ByteArrayValue([]byte(text)), ok
	case columnExact:
		ok := typ == typeList || typ == typeTable
		if !ok {
			return parquet.Value{}, false
		}
		return parquet.ByteArrayValue(t.blobs[row]), true
	}
	latest, ok := t.after[row]
	return parquet.Int64Value(latest), ok
}

// number gives a value as the double that people compute with, if it is one.
func number(typ valueType, bits uint64) (float64, bool) {
	switch typ {
	case typeFloat:
		return math.Float64frombits(bits), true
	case typeInt:
		return float64(int64(bits)), true
	}
	return 0, false
}

// exactDouble tells whether a double holds the int.
func exactDouble(n int64) bool {
	f := float64(n)
	return f < 1<<63 && int64(f) == n
}

// text gives what is no number as text: strings and paths as they are, lists
// and tables as JSON, and of an int that no double holds its digits.
func text(r raw) (string, bool) {
	switch r.typ {
	case typeInt:
		n := int64(r.bits)
		return strconv.FormatInt(n, 10), !exactDouble(n)
	case typeBool:
		return strconv.FormatBool(r.bits != 0), true
	case typeString:
		return string(r.blob), true
	case typeList, typeTable:
		v, err := decodeValue(r)
		if err != nil {
			return "", false
		}
		return textJSON(v), true
	}
	return "", false
}

// textJSON writes a list as an array, and a table as an object of arrays in the
// order of its columns. NaN and infinite numbers, which JSON lacks, are the
// texts "NaN", "Infinity" and "-Infinity".
func textJSON(v any) string {
	var b []byte
	switch v := v.(type) {
	case []any:
		b = appendJSONList(b, v)
	case []Column:
		b = append(b, '{')
		for i, c := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSON(b, c.Name), ':')
			b = appendJSONList(b, c.Values)
		}
		b = append(b, '}')
	}
	return string(b)
}

func appendJSONList(b []byte, list []any) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, v)
	}
	return append(b, ']')
}

func appendJSON(b []byte, v any) []byte {
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		v = textFloat(f)
	}
	data, err := json.Marshal(v)
	if err != nil { // a scalar always has a form
		panic(fmt.Sprintf("metrics: %T as JSON: %v", v, err))
	}
	return append(b, data...)
}

// textFloat writes a float with all its digits, and names what is no number.
func textFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

package tabular

import (
	"time"
)

// Batch is some consecutive rows of a table. It belongs to who got it, and
// nobody else has its slices; the strings in it stay valid for ever, but keep the
// block of the file alive that they were read from: strings.Clone what is kept
// for long.
type Batch struct {
	// Rows is the number of rows.
	Rows int
	// Columns are the columns in the order of the table.
	Columns []Column
}

// Column is one column of a batch. Of the slices of values exactly one is set,
// the one that the type names, with a value for each row; where Nulls says that a
// value is missing, there is a zero.
type Column struct {
	// Field is the column's name and type.
	Field
	// Nulls says which values are missing; it is nil when none is.
	Nulls []bool
	// Ints are the values of an Int, and of a Time in nanoseconds since 1970, UTC.
	Ints []int64
	// Floats are the values of a Float.
	Floats []float64
	// Bools are the values of a Bool.
	Bools []bool
	// Texts are the values of a String, Decimal, Bytes or Nested.
	Texts []string
}

// NewColumn makes a column of n zero values.
func NewColumn(f Field, n int) Column {
	c := Column{Field: f}
	switch f.Type {
	case Int, Time:
		c.Ints = make([]int64, n)
	case Float:
		c.Floats = make([]float64, n)
	case Bool:
		c.Bools = make([]bool, n)
	default:
		c.Texts = make([]string, n)
	}
	return c
}

// Len gives the number of values.
func (c *Column) Len() int {
	switch c.Type {
	case Int, Time:
		return len(c.Ints)
	case Float:
		return len(c.Floats)
	case Bool:
		return len(c.Bools)
	}
	return len(c.Texts)
}

// Null tells whether the value of the row is missing.
func (c *Column) Null(row int) bool { return c.Nulls != nil && c.Nulls[row] }

// SetNull marks the value of the row as missing and makes it a zero.
func (c *Column) SetNull(row int) {
	if c.Nulls == nil {
		c.Nulls = make([]bool, c.Len())
	}
	c.Nulls[row] = true
	switch c.Type {
	case Int, Time:
		c.Ints[row] = 0
	case Float:
		c.Floats[row] = 0
	case Bool:
		c.Bools[row] = false
	default:
		c.Texts[row] = ""
	}
}

// Value gives the value of the row as string, int64, float64, bool or time.Time
// (in UTC), nil when it is missing.
func (c *Column) Value(row int) any {
	switch {
	case c.Null(row):
		return nil
	case c.Type == Int:
		return c.Ints[row]
	case c.Type == Time:
		return time.Unix(0, c.Ints[row]).UTC()
	case c.Type == Float:
		return c.Floats[row]
	case c.Type == Bool:
		return c.Bools[row]
	}
	return c.Texts[row]
}

// Slice gives the rows from begin up to but not including end. It shares the
// memory of c.
func (c *Column) Slice(begin, end int) Column {
	out := Column{Field: c.Field}
	if c.Nulls != nil {
		out.Nulls = c.Nulls[begin:end]
	}
	switch c.Type {
	case Int, Time:
		out.Ints = c.Ints[begin:end]
	case Float:
		out.Floats = c.Floats[begin:end]
	case Bool:
		out.Bools = c.Bools[begin:end]
	default:
		out.Texts = c.Texts[begin:end]
	}
	return out
}

// Slice gives the rows from begin up to but not including end. It shares the
// memory of b.
func (b *Batch) Slice(begin, end int) *Batch {
	out := &Batch{Rows: end - begin, Columns: make([]Column, len(b.Columns))}
	for i := range b.Columns {
		out.Columns[i] = b.Columns[i].Slice(begin, end)
	}
	return out
}

// Schema gives the names and types of the columns.
func (b *Batch) Schema() Schema {
	s := make(Schema, len(b.Columns))
	for i := range b.Columns {
		s[i] = b.Columns[i].Field
	}
	return s
}

// Keep leaves only the rows for which keep is true, in place; keep has one entry
// for each row.
func (b *Batch) Keep(keep []bool) {
	n := 0
	for _, k := range keep {
		if k {
			n++
		}
	}
	if n == b.Rows {
		return
	}
	for i := range b.Columns {
		c := &b.Columns[i]
		c.Nulls = compact(c.Nulls, keep)
		c.Ints = compact(c.Ints, keep)
		c.Floats = compact(c.Floats, keep)
		c.Bools = compact(c.Bools, keep)
		c.Texts = compact(c.Texts, keep)
	}
	b.Rows = n
}

func compact[T any](values []T, keep []bool) []T {
	if values == nil {
		return nil
	}
	n := 0
	for i, k := range keep {
		if k {
			values[n] = values[i]
			n++
		}
	}
	clear(values[n:])
	return values[:n]
}

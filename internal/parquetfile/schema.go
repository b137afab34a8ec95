package parquetfile

import (
	"fmt"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/tabular"
)

// maxColumns bounds the columns of a file.
const maxColumns = 100_000

// column is a column of a file at its top level.
type column struct {
	tabular.Field
	node  parquet.Field
	first int // the number of its first leaf in the file
	leaf  leaf
}

// leaf says what the values of a leaf are.
type leaf struct {
	typ      tabular.Type
	unsigned bool
	unit     int64 // nanoseconds of a Time's unit, or of a time of day
	clock    bool  // it is a time of day
	scale    int   // of a Decimal
	uuid     bool
	half     bool // a float of 16 bits
}

// columnsOf gives the columns of a file.
func columnsOf(file *parquet.File) ([]column, error) {
	halves := halvesOf(file.Metadata().Schema)
	var out []column
	at := 0
	taken := map[string]bool{}
	for _, f := range file.Schema().Fields() {
		c := column{Field: tabular.Field{Name: f.Name(), Type: tabular.Nested}, node: f, first: at}
		if taken[f.Name()] {
			return nil, fmt.Errorf("%w: it has two columns %q", azml.ErrInvalid, f.Name())
		}
		taken[f.Name()] = true
		if f.Leaf() && !f.Repeated() {
			c.leaf = leafOf(f.Type())
			if halves[at] {
				c.leaf = leaf{typ: tabular.Float, half: true}
			}
			c.Type = c.leaf.typ
		}
		at += leaves(f)
		if out = append(out, c); at > maxColumns {
			return nil, fmt.Errorf("%w: it has more than %d columns", azml.ErrInvalid, maxColumns)
		}
	}
	return out, nil
}

// halvesOf finds the leaves that are floats of 16 bits, which the schema's nodes
// don't tell from bytes.
func halvesOf(elements []format.SchemaElement) map[int]bool {
	halves := map[int]bool{}
	leaf := 0
	for i := range elements {
		e := &elements[i]
		if i == 0 || e.NumChildren.Valid && e.NumChildren.V > 0 {
			continue
		}
		if _, ok := e.LogicalType.Value.(*format.Float16Type); ok && e.TypeLength.V == 2 {
			halves[leaf] = true
		}
		leaf++
	}
	return halves
}

// leaves counts the leaves of a node.
func leaves(n parquet.Node) int {
	if n.Leaf() {
		return 1
	}
	sum := 0
	for _, f := range n.Fields() {
		sum += leaves(f)
	}
	return sum
}

// leafOf says what values of the type are.
func leafOf(t parquet.Type) leaf {
	if logical := t.LogicalType(); logical != nil {
		if l, ok := logicalLeaf(logical.Value); ok {
			return l
		}
	}
	switch t.Kind() {
	case parquet.Boolean:
		return leaf{typ: tabular.Bool}
	case parquet.Int32, parquet.Int64:
		return leaf{typ: tabular.Int}
	case parquet.Int96:
		return leaf{typ: tabular.Time, unit: 1}
	case parquet.Float, parquet.Double:
		return leaf{typ: tabular.Float}
	}
	return leaf{typ: tabular.Bytes}
}

func logicalLeaf(v format.LogicalTypeValue) (leaf, bool) {
	switch v := v.(type) {
	case *format.StringType, *format.EnumType:
		return leaf{typ: tabular.String}, true
	case *format.JsonType:
		return leaf{typ: tabular.Nested}, true
	case *format.UUIDType:
		return leaf{typ: tabular.String, uuid: true}, true
	case *format.DateType:
		return leaf{typ: tabular.Time, unit: 86400e9}, true
	case *format.TimestampType:
		return leaf{typ: tabular.Time, unit: v.Unit.Value.Duration().Nanoseconds()}, true
	case *format.TimeType:
		return leaf{typ: tabular.String, clock: true, unit: v.Unit.Value.Duration().Nanoseconds()}, true
	case *format.DecimalType:
		return leaf{typ: tabular.Decimal, scale: int(v.Scale)}, true
	case *format.IntType:
		return integer(int(v.BitWidth), v.IsSigned), true
	}
	return leaf{}, false
}

// integer says what whole numbers are: an int64 has no room for all those of 64
// bits without sign.
func integer(bits int, signed bool) leaf {
	if bits == 64 && !signed {
		return leaf{typ: tabular.Decimal, unsigned: true}
	}
	return leaf{typ: tabular.Int, unsigned: !signed}
}

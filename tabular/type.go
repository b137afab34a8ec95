package tabular

import (
	"fmt"
	"slices"
	"strings"

	"github.com/azml-go/azml"
)

// Type is the type of a column.
type Type string

// The types of columns, by the names that Azure ML gives them, and after those
// the ones that only Parquet files and databases have.
const (
	// String is text in UTF-8.
	String Type = "string"
	// Int is a whole number of 64 bits.
	Int Type = "long"
	// Float is a floating-point number of 64 bits.
	Float Type = "float"
	// Bool is true or false.
	Bool Type = "bool"
	// Time is a point in time to the nanosecond, from the year 1678 to 2262.
	Time Type = "datetime"
	// Decimal is a decimal fraction of any size, as text such as "-12.30".
	Decimal Type = "decimal"
	// Bytes is any bytes.
	Bytes Type = "bytes"
	// Nested is a list, a map or a struct, as JSON.
	Nested Type = "nested"
)

// Types lists all types. The slice is the caller's own.
func Types() []Type { return []Type{String, Int, Float, Bool, Time, Decimal, Bytes, Nested} }

// ParseType reads the name of a type. Errors: ErrInvalid, naming those there are.
func ParseType(name string) (Type, error) {
	if t := Type(name); slices.Contains(Types(), t) {
		return t, nil
	}
	names := make([]string, 0, len(Types()))
	for _, t := range Types() {
		names = append(names, string(t))
	}
	return "", fmt.Errorf("%w: type %q: use one of %s", azml.ErrInvalid, name, strings.Join(names, ", "))
}

// Field is the name and type of a column.
type Field struct {
	// Name is the column's name, unique in its table.
	Name string `json:"name"`
	// Type is its type.
	Type Type `json:"type"`
}

// Schema is the columns of a table in their order.
type Schema []Field

// Index gives the place of the column with the name, -1 when there is none.
func (s Schema) Index(name string) int {
	return slices.IndexFunc(s, func(f Field) bool { return f.Name == name })
}

// Names gives the names in their order.
func (s Schema) Names() []string {
	names := make([]string, len(s))
	for i, f := range s {
		names[i] = f.Name
	}
	return names
}

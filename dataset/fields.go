package dataset

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/tabular"
)

// tag is the key of a struct's tags.
const tag = "dataset"

// field is a field of a struct and the column for it.
type field struct {
	column tabular.Field
	offset uintptr
	set    setter
	same   bool // the field's type is that of the column's slice
	time   bool // it is a time.Time
}

// sameTypes are the kinds of fields that a column's values are copied to as they
// are.
var sameTypes = map[tabular.Type]reflect.Kind{tabular.Int: reflect.Int64, tabular.Float: reflect.Float64, tabular.Bool: reflect.Bool,
	tabular.String: reflect.String, tabular.Decimal: reflect.String, tabular.Bytes: reflect.String, tabular.Nested: reflect.String}

// spread copies values into a field of all structs.
func spread[T, V any](chunk []T, offset uintptr, values []V) {
	for i := range chunk {
		*(*V)(unsafe.Add(unsafe.Pointer(&chunk[i]), offset)) = values[i] //nolint:gosec // a field of that type, see fieldsOf
	}
}

// setter puts the value of a row at a place, and tells why it can't.
type setter func(at unsafe.Pointer, c *tabular.Column, row int) error

var timeType = reflect.TypeFor[time.Time]()

// fieldsOf finds the columns for the fields of a struct.
func fieldsOf[T any](d *Dataset) ([]field, error) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%w: %s is no struct", azml.ErrInvalid, t)
	}
	if err := d.want(TypeTabular); err != nil {
		return nil, err
	}
	schema := d.Columns()
	var out []field
	for _, f := range reflect.VisibleFields(t) {
		name, given := f.Tag.Lookup(tag)
		if name == "-" || f.Anonymous || !f.IsExported() {
			continue
		}
		if len(f.Index) > 1 && throughPointer(t, f.Index) {
			return nil, fmt.Errorf("%w: field %s is behind a pointer: embed the struct itself", azml.ErrInvalid, f.Name)
		}
		at := schema.Index(name)
		if !given {
			at = anyCase(schema, f.Name)
			name = f.Name
		}
		if at < 0 {
			return nil, fmt.Errorf("%w: there is no column %q for the field %s, but %s", azml.ErrInvalid, name, f.Name, core.Sample(schema.Names()))
		}
		set := setterFor(f.Type, schema[at].Type)
		if set == nil {
			return nil, fmt.Errorf("%w: column %q is %s, which does not go to the field %s of type %s", azml.ErrInvalid, schema[at].Name, schema[at].Type, f.Name, f.Type)
		}
		out = append(out, field{schema[at], offsetOf(t, f.Index), set, sameTypes[schema[at].Type] == f.Type.Kind(), f.Type == timeType && schema[at].Type == tabular.Time})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s has no field for a column", azml.ErrInvalid, t)
	}
	return out, nil
}

func throughPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		if t = t.Field(i).Type; t.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}

func offsetOf(t reflect.Type, index []int) (offset uintptr) {
	for _, i := range index {
		f := t.Field(i)
		offset += f.Offset
		t = f.Type
	}
	return offset
}

// anyCase finds the column of that name, else one that differs in case.
func anyCase(s tabular.Schema, name string) int {
	if at := s.Index(name); at >= 0 {
		return at
	}
	for i, f := range s {
		if strings.EqualFold(f.Name, name) {
			return i
		}
	}
	return -1
}

// setterFor gives what puts values of a column into a type, nil when they don't
// fit.
func setterFor(t reflect.Type, from tabular.Type) setter {
	if t.Kind() == reflect.Pointer && t != timeType {
		set := setterFor(t.Elem(), from)
		if set == nil {
			return nil
		}
		return func(at unsafe.Pointer, c *tabular.Column, row int) error {
			if c.Null(row) {
				return nil
			}
			v := reflect.New(t.Elem())
			*(*unsafe.Pointer)(at) = v.UnsafePointer()
			return set(v.UnsafePointer(), c, row)
		}
	}
	switch from {
	case tabular.Int:
		return intSetter(t)
	case tabular.Float:
		return floatSetter(t, func(c *tabular.Column, row int) (float64, error) { return c.Floats[row], nil })
	case tabular.Bool:
		if t.Kind() == reflect.Bool {
			return func(at unsafe.Pointer, c *tabular.Column, row int) error { *(*bool)(at) = c.Bools[row]; return nil }
		}
		return nil
	case tabular.Time:
		if t == timeType {
			return func(at unsafe.Pointer, c *tabular.Column, row int) error {
				if !c.Null(row) {
					*(*time.Time)(at) = time.Unix(0, c.Ints[row]).UTC()
				}
				return nil
			}
		}
		return nil
	case tabular.Decimal:
		if set := floatSetter(t, func(c *tabular.Column, row int) (float64, error) { return strconv.ParseFloat(c.Texts[row], 64) }); set != nil {
			return set
		}
	}
	return textSetter(t, from)
}

// textSetter is for texts, and JSON within them.
func textSetter(t reflect.Type, from tabular.Type) setter {
	switch {
	case t.Kind() == reflect.String:
		return func(at unsafe.Pointer, c *tabular.Column, row int) error { *(*string)(at) = c.Texts[row]; return nil }
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return func(at unsafe.Pointer, c *tabular.Column, row int) error {
			if !c.Null(row) {
				*(*[]byte)(at) = []byte(c.Texts[row])
			}
			return nil
		}
	case from == tabular.Nested:
		return func(at unsafe.Pointer, c *tabular.Column, row int) error {
			if c.Null(row) {
				return nil
			}
			return json.Unmarshal([]byte(c.Texts[row]), reflect.NewAt(t, at).Interface())
		}
	}
	return nil
}

// floatSetter is for floats, which are NaN where a value is missing.
func floatSetter(t reflect.Type, value func(c *tabular.Column, row int) (float64, error)) setter {
	get := func(c *tabular.Column, row int) (float64, error) {
		if c.Null(row) {
			return math.NaN(), nil
		}
		return value(c, row)
	}
	switch t.Kind() {
	case reflect.Float64:
		return func(at unsafe.Pointer, c *tabular.Column, row int) (err error) {
			*(*float64)(at), err = get(c, row)
			return err
		}
	case reflect.Float32:
		return func(at unsafe.Pointer, c *tabular.Column, row int) error {
			v, err := get(c, row)
			*(*float32)(at) = float32(v)
			return err
		}
	}
	return nil
}

// intSetter is for whole numbers.
func intSetter(t reflect.Type) setter {
	switch t.Kind() {
	case reflect.Int64:
		return func(at unsafe.Pointer, c *tabular.Column, row int) error { *(*int64)(at) = c.Ints[row]; return nil }
	case reflect.Int:
		return small[int](t)
	case reflect.Int32:
		return small[int32](t)
	case reflect.Int16:
		return small[int16](t)
	case reflect.Int8:
		return small[int8](t)
	case reflect.Uint64:
		return small[uint64](t)
	case reflect.Uint:
		return small[uint](t)
	case reflect.Uint32:
		return small[uint32](t)
	case reflect.Uint16:
		return small[uint16](t)
	case reflect.Uint8:
		return small[uint8](t)
	}
	return floatSetter(t, func(c *tabular.Column, row int) (float64, error) { return float64(c.Ints[row]), nil })
}

// small is for integers that have no room for all.
func small[I int | int32 | int16 | int8 | uint64 | uint | uint32 | uint16 | uint8](t reflect.Type) setter {
	return func(at unsafe.Pointer, c *tabular.Column, row int) error {
		v := c.Ints[row]
		if int64(I(v)) != v || v < 0 && I(0)-1 > 0 {
			return fmt.Errorf("%d is too great for %s", v, t)
		}
		*(*I)(at) = I(v)
		return nil
	}
}

// overwritten tells whether filling writes all that the fields had before: it leaves
// out what is missing, and JSON goes into what is there.
func overwritten(fields []field, b *tabular.Batch) bool {
	for i, f := range fields {
		if b.Columns[i].Nulls != nil || f.column.Type == tabular.Nested && !f.same {
			return false
		}
	}
	return true
}

// spreadTimes is spread for times, of which none is missing.
func spreadTimes[T any](chunk []T, offset uintptr, values []int64) {
	for i := range chunk {
		*(*time.Time)(unsafe.Add(unsafe.Pointer(&chunk[i]), offset)) = time.Unix(0, values[i]).UTC() //nolint:gosec // a field of that type, see fieldsOf
	}
}

// fill puts a column into the field of all structs. It gives the first row that
// doesn't fit.
func fill[T any](chunk []T, f field, c *tabular.Column) (bad int, err error) {
	switch {
	case f.same && c.Ints != nil:
		spread(chunk, f.offset, c.Ints)
		return 0, nil
	case f.same && c.Floats != nil && c.Nulls == nil:
		spread(chunk, f.offset, c.Floats)
		return 0, nil
	case f.same && c.Bools != nil:
		spread(chunk, f.offset, c.Bools)
		return 0, nil
	case f.same && c.Texts != nil:
		spread(chunk, f.offset, c.Texts)
		return 0, nil
	case f.time && c.Nulls == nil:
		spreadTimes(chunk, f.offset, c.Ints)
		return 0, nil
	}
	for row := range chunk {
		if err := f.set(unsafe.Add(unsafe.Pointer(&chunk[row]), f.offset), c, row); err != nil { //nolint:gosec // a field that the setter is for, see fieldsOf
			return row, err
		}
	}
	return 0, nil
}

package metrics

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/azml-go/azml"
)

// Scalar gives v as one of the types that a scalar metric keeps: float64,
// int64, string, bool or nil. It takes every Go number type. Errors:
// ErrInvalid for other types, for an unsigned number above the int64 range,
// and for a string that is not UTF-8.
func Scalar(v any) (any, error) {
	switch v := v.(type) {
	case nil, float64, int64, bool:
		return v, nil
	case float32:
		return float64(v), nil
	case int:
		return int64(v), nil
	case int8:
		return int64(v), nil
	case int16:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case uint:
		return unsigned(uint64(v))
	case uint8:
		return int64(v), nil
	case uint16:
		return int64(v), nil
	case uint32:
		return int64(v), nil
	case uint64:
		return unsigned(v)
	case string:
		if !utf8.ValidString(v) {
			return nil, fmt.Errorf("%w: metric value %.60q is not UTF-8", azml.ErrInvalid, v)
		}
		return v, nil
	}
	return nil, fmt.Errorf("%w: metric value of type %T; a scalar is a number, string, bool or nil, use a list or table for more", azml.ErrInvalid, v)
}

func unsigned(v uint64) (any, error) {
	if v > math.MaxInt64 {
		return nil, fmt.Errorf("%w: metric value %d is above the int64 range; log it as a float or a string", azml.ErrInvalid, v)
	}
	return int64(v), nil
}

// List gives the values as Scalar does each of them. When the list holds both
// ints and floats, all its numbers become float64. The result is a new slice.
// Errors: ErrInvalid when an element is no scalar.
func List(values []any) ([]any, error) {
	out := make([]any, len(values))
	ints, floats := false, false
	for i, v := range values {
		s, err := Scalar(v)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		switch s.(type) {
		case int64:
			ints = true
		case float64:
			floats = true
		}
		out[i] = s
	}
	if ints && floats {
		for i, v := range out {
			if n, ok := v.(int64); ok {
				out[i] = float64(n)
			}
		}
	}
	return out, nil
}

// Table gives the columns as List does each of them. Errors: ErrInvalid when
// the columns differ in length, when two have one name, or when an element is
// no scalar.
func Table(columns []Column) ([]Column, error) {
	out := make([]Column, len(columns))
	seen := make(map[string]bool, len(columns))
	for i, c := range columns {
		values, err := List(c.Values)
		switch {
		case err != nil:
			return nil, fmt.Errorf("column %q: %w", c.Name, err)
		case !utf8.ValidString(c.Name):
			return nil, fmt.Errorf("%w: column name %q is not UTF-8", azml.ErrInvalid, c.Name)
		case seen[c.Name]:
			return nil, fmt.Errorf("%w: two columns are named %q", azml.ErrInvalid, c.Name)
		case len(values) != len(columns[0].Values):
			return nil, fmt.Errorf("%w: column %q has %d values and column %q has %d; all columns must be equally long",
				azml.ErrInvalid, c.Name, len(values), columns[0].Name, len(columns[0].Values))
		}
		seen[c.Name] = true
		out[i] = Column{Name: c.Name, Values: values}
	}
	return out, nil
}

// Columns makes a table of a map from column names to values, sorted by name.
// A value is a []any, []float64, []int64, []int, []string or []bool, or a
// scalar, which stands for a column of length 1. Errors: as Table.
func Columns(byName map[string]any) ([]Column, error) {
	var columns []Column
	for name, v := range byName {
		columns = append(columns, Column{Name: name, Values: Elements(v)})
	}
	slices.SortFunc(columns, func(a, b Column) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return Table(columns)
}

// Elements gives the elements of a slice of scalars ([]any, []float64,
// []float32, []int64, []int, []string, []bool) as []any. Anything else is
// given as the only element.
func Elements(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case []float64:
		return boxed(v)
	case []float32:
		return boxed(v)
	case []int64:
		return boxed(v)
	case []int:
		return boxed(v)
	case []string:
		return boxed(v)
	case []bool:
		return boxed(v)
	}
	return []any{v}
}

func boxed[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

package signature

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/record"
)

// Check holds a request or an answer against the fields. It knows the forms in
// which tables and tensors are usually sent: a list of rows, of records or of
// values; such a list or columns by name below "data", "input_data", "inputs",
// "instances", "predictions", "result", "dataframe_records" or
// "dataframe_split"; one record. A body of any other form passes, for it is the
// scoring script's own. Errors: ErrInvalid naming row and column.
func Check(list []record.SignatureField, body []byte) error {
	if len(list) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return fmt.Errorf("%w: the body is no JSON: %w", azml.ErrInvalid, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%w: the body is more than one JSON value", azml.ErrInvalid)
	}
	c := checker{fields: list}
	hold := c.table
	if list[0].Shape != nil {
		hold = c.tensors
	}
	if err := hold(value); err != nil {
		return fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	return nil
}

// wrappers are the members that tables and tensors are sent in.
var wrappers = []string{"data", "input_data", "inputs", "instances", "predictions", "result", "dataframe_records", "dataframe_split"}

// unwrap gives what is in the one member of an object that wraps a body.
func unwrap(value any) (inside any, by string) {
	object, is := value.(map[string]any)
	if !is {
		return value, ""
	}
	for _, name := range wrappers {
		if inside, there := object[name]; there {
			return inside, name
		}
	}
	return value, ""
}

// checker holds values against fields.
type checker struct {
	fields []record.SignatureField
}

// table checks a body that stands for rows.
func (c checker) table(value any) error {
	value, by := unwrap(value)
	switch v := value.(type) {
	case []any:
		return c.rows(v, nil)
	case map[string]any:
		data, isList := v["data"].([]any)
		if columns, is := v["columns"].([]any); is && isList {
			names, err := c.columns(columns)
			if err != nil {
				return err
			}
			return c.rows(data, names)
		}
		if by == "" && !c.named(v) {
			return nil // a form of its own
		}
		return c.byName(v)
	}
	return nil
}

// columns gives the places of the fields among the columns that a body names.
func (c checker) columns(columns []any) (places []int, err error) {
	at := map[string]int{}
	for i, name := range columns {
		at[fmt.Sprint(name)] = i
	}
	places = make([]int, len(c.fields))
	for i, f := range c.fields {
		place, there := at[f.Name]
		switch {
		case there:
		case f.Name == "" && i < len(columns):
			place = i
		case f.Optional:
			place = -1
		default:
			return nil, missing(f)
		}
		places[i] = place
	}
	return places, nil
}

// rows checks a list of rows; places say where the fields are in one that is a
// list, nil for their order.
func (c checker) rows(rows []any, places []int) error {
	for i, row := range rows {
		if err := c.row(row, places); err != nil {
			return fmt.Errorf("row %d: %w", i+1, err)
		}
	}
	return nil
}

func (c checker) row(row any, places []int) error {
	switch row := row.(type) {
	case map[string]any:
		return c.record(row)
	case []any:
		return c.list(row, places)
	}
	if len(c.fields) == 1 {
		return check(c.fields[0], row)
	}
	return fmt.Errorf("%s stands where a row of %d columns belongs", shown(row), len(c.fields))
}

func (c checker) list(row []any, places []int) error {
	if places == nil {
		if len(row) > len(c.fields) {
			return fmt.Errorf("it has %d values, the model takes %d", len(row), len(c.fields))
		}
		for i, f := range c.fields[len(row):] {
			if !f.Optional {
				return fmt.Errorf("it has %d values, the model takes %d: %w", len(row), len(c.fields), missing(c.fields[len(row)+i]))
			}
		}
		for i, value := range row {
			if err := check(c.fields[i], value); err != nil {
				return err
			}
		}
		return nil
	}
	for i, f := range c.fields {
		if places[i] < 0 {
			continue
		}
		if places[i] >= len(row) {
			return missing(f)
		}
		if err := check(f, row[places[i]]); err != nil {
			return err
		}
	}
	return nil
}

// record checks one row by the names of its values.
func (c checker) record(row map[string]any) error {
	for _, f := range c.fields {
		value, there := row[f.Name]
		switch {
		case there:
			if err := check(f, value); err != nil {
				return err
			}
		case !f.Optional:
			return missing(f)
		}
	}
	return nil
}

// named tells whether an object has one of the columns.
func (c checker) named(object map[string]any) bool {
	for _, f := range c.fields {
		if _, there := object[f.Name]; there {
			return true
		}
	}
	return false
}

// byName checks an object of columns: of lists, or of one value each.
func (c checker) byName(object map[string]any) error {
	for _, f := range c.fields {
		value, there := object[f.Name]
		if !there {
			if f.Optional {
				continue
			}
			return missing(f)
		}
		values, isList := value.([]any)
		if !isList {
			if err := check(f, value); err != nil {
				return err
			}
			continue
		}
		for i, value := range values {
			if err := check(f, value); err != nil {
				return fmt.Errorf("row %d: %w", i+1, err)
			}
		}
	}
	return nil
}

func missing(f record.SignatureField) error {
	if f.Name == "" {
		return fmt.Errorf("a column is missing")
	}
	return fmt.Errorf("the column %q is missing", f.Name)
}

// check holds one value of a column against its type. null is a missing value,
// which numbers with a fraction, text and times may be.
func check(f record.SignatureField, value any) error {
	fits := true
	switch f.Type {
	case "double":
		fits = value == nil || number(value, 64)
	case "float":
		fits = value == nil || number(value, 32)
	case "integer":
		fits = whole(value, 32)
	case "long":
		fits = whole(value, 64)
	case "boolean":
		_, fits = value.(bool)
	case "string", "binary":
		_, is := value.(string)
		fits = is || value == nil
	case "datetime":
		fits = value == nil || moment(value)
	}
	if fits {
		return nil
	}
	if f.Name == "" {
		return fmt.Errorf("%s is no %s", shown(value), f.Type)
	}
	return fmt.Errorf("column %q: %s is no %s", f.Name, shown(value), f.Type)
}

// number tells whether the value is a number that a float of that many bits can hold,
// which rounds it.
func number(value any, bits int) bool {
	n, is := value.(json.Number)
	if !is {
		return false
	}
	_, err := strconv.ParseFloat(string(n), bits)
	return err == nil
}

// bitsOf gives the bits of one of NumPy's floats.
func bitsOf(kind string) int {
	if kind == "float32" {
		return 32
	}
	return 64
}

// moment tells whether the value may be a time: a number, which MLflow takes for
// nanoseconds, or a text. pandas reads times in very many forms, of which none lacks digits
// or names a day that no calendar has; more is not checked.
func moment(value any) bool {
	text, is := value.(string)
	if !is {
		_, is := value.(json.Number)
		return is
	}
	if !strings.ContainsAny(text, "0123456789") {
		return slices.Contains([]string{"", "nat", "nan", "now", "today"}, strings.ToLower(text))
	}
	const date = len(time.DateOnly)
	if len(text) < date || text[4] != '-' || text[7] != '-' {
		return true
	}
	_, err := time.Parse(time.DateOnly, text[:date])
	return err == nil
}

// whole tells whether the value is a whole number of that many bits, 7.0 and 7e0
// among them.
func whole(value any, bits int) bool {
	number, is := value.(json.Number)
	if !is || len(number) > 40 || strings.ContainsAny(string(number), "eE") && len(number) > 20 {
		return false
	}
	f, _, err := big.ParseFloat(string(number), 10, 128, big.ToNearestEven)
	if err != nil || !f.IsInt() {
		return false
	}
	limit := new(big.Float).SetMantExp(big.NewFloat(1), bits-1)
	return f.Cmp(limit) < 0 && f.Cmp(new(big.Float).Neg(limit)) >= 0
}

// shown gives a value for an error text.
func shown(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return "a value"
	}
	const most = 60
	if len(data) > most {
		return strings.ToValidUTF8(string(data[:most]), "") + "…"
	}
	return string(data)
}

package openinference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// outputName is the name of an output that a model gives none.
const outputName = "output-0"

// Outputs makes tensors of what a model has answered: of a value or a list, one
// tensor; of an object of lists, one for each; of a list of objects, one for each
// of their members, as long as the list. What holds no tensors goes out as one
// text of JSON. described are the outputs that the model's metadata names, in
// their order: they give names and datatypes.
func Outputs(answer []byte, described []TensorMetadata) ([]Tensor, error) {
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, fmt.Errorf("the model's answer is no JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("the model's answer is more than one JSON value")
	}
	columns, names := split(unwrap(value))
	tensors := make([]Tensor, 0, len(columns))
	for i, name := range names {
		t, err := tensorOf(columns[i])
		if err != nil {
			return []Tensor{{Name: outputName, Shape: []int64{1}, Datatype: Bytes, Data: Data{Texts: []string{strings.TrimSpace(string(answer))}},
				Parameters: map[string]any{"content_type": "application/json"}}}, nil
		}
		t.Name = name
		tensors = append(tensors, t)
	}
	describe(tensors, described)
	return tensors, nil
}

// unwrap gives what is in the one member that answers are often wrapped in.
func unwrap(value any) any {
	object, is := value.(map[string]any)
	if !is || len(object) != 1 {
		return value
	}
	for _, name := range []string{"predictions", "result", "data", "outputs"} {
		if inside, there := object[name]; there {
			return inside
		}
	}
	return value
}

// split gives the parts of an answer that are tensors of their own, with their
// names; an unnamed one is called output-0.
func split(value any) (parts []any, names []string) {
	switch value := value.(type) {
	case map[string]any:
		names = slices.Sorted(maps.Keys(value))
		for _, name := range names {
			parts = append(parts, value[name])
		}
		return parts, names
	case []any:
		if columns, names := byColumn(value); names != nil {
			return columns, names
		}
	}
	return []any{value}, []string{outputName}
}

// byColumn turns a list of objects with the same members into lists; names are nil
// when it is none.
func byColumn(rows []any) (columns []any, names []string) {
	for i, row := range rows {
		object, is := row.(map[string]any)
		if !is {
			return nil, nil
		}
		if i == 0 {
			names = slices.Sorted(maps.Keys(object))
			columns = make([]any, len(names))
			for c := range columns {
				columns[c] = []any{}
			}
		}
		if len(object) != len(names) {
			return nil, nil
		}
		for c, name := range names {
			value, there := object[name]
			if !there {
				return nil, nil
			}
			columns[c] = append(columns[c].([]any), value)
		}
	}
	return columns, names
}

// tensorOf makes a tensor of a value or of nested lists of equal length, of the
// first of BOOL, INT64, FP64 and BYTES that holds all.
func tensorOf(value any) (Tensor, error) {
	shape := []int64{}
	for inner := value; ; {
		list, is := inner.([]any)
		if !is {
			break
		}
		shape = append(shape, int64(len(list)))
		if len(list) == 0 {
			break
		}
		inner = list[0]
	}
	flat, err := unnest(nil, value, shape)
	if err != nil {
		return Tensor{}, err
	}
	if len(shape) == 0 {
		shape = []int64{1}
	}
	kinds := []Datatype{Bool, Int64, FP64, Bytes}
	if len(flat) == 0 {
		kinds = []Datatype{FP64}
	}
	for _, datatype := range kinds {
		if t, ok := tensorAs(datatype, shape, flat); ok {
			return t, nil
		}
	}
	return Tensor{}, fmt.Errorf("its values have no datatype in common")
}

// tensorAs makes a tensor of the datatype, if that holds all values.
func tensorAs(datatype Datatype, shape []int64, flat []any) (Tensor, bool) {
	t := Tensor{Shape: shape, Datatype: datatype}
	for _, value := range flat {
		if t.Data.add(datatype, value) != nil {
			return t, false
		}
	}
	return t, true
}

// unnest appends values that are nested as the shape says, in row-major order.
func unnest(flat []any, value any, shape []int64) ([]any, error) {
	list, is := value.([]any)
	if len(shape) == 0 {
		if is {
			return nil, errNesting
		}
		return append(flat, value), nil
	}
	if !is || int64(len(list)) != shape[0] {
		return nil, errNesting
	}
	for _, inner := range list {
		var err error
		if flat, err = unnest(flat, inner, shape[1:]); err != nil {
			return nil, err
		}
	}
	return flat, nil
}

// describe gives outputs the names and datatypes that the metadata has for them,
// where they hold the values.
func describe(tensors []Tensor, described []TensorMetadata) {
	if len(tensors) == 1 && len(described) == 1 && tensors[0].Name == outputName && described[0].Name != "" {
		tensors[0].Name = described[0].Name
	}
	for i := range tensors {
		for _, m := range described {
			if m.Name == tensors[i].Name {
				tensors[i].become(m.Datatype)
			}
		}
	}
}

// become changes the datatype, if the other one holds all values.
func (t *Tensor) become(datatype Datatype) {
	other := Tensor{Name: t.Name, Shape: t.Shape, Datatype: datatype, Parameters: t.Parameters}
	for i := range t.Data.Len() {
		var value any
		d := json.NewDecoder(bytes.NewReader(t.Data.appendJSON(nil, t.Datatype, i)))
		d.UseNumber()
		if d.Decode(&value) != nil || other.Data.add(datatype, value) != nil {
			return
		}
	}
	*t = other
}

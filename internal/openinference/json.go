package openinference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/azml-go/azml"
)

// Body gives the request as the JSON that a model takes: {"data": …} for a single
// input, {"inputs": {name: …}} for several, the values nested as the shapes say.
func (r *Request) Body() ([]byte, error) {
	if len(r.Inputs) == 1 {
		return json.Marshal(map[string]any{"data": r.Inputs[0].Nested()})
	}
	byName := map[string]any{}
	for i := range r.Inputs {
		byName[r.Inputs[i].Name] = r.Inputs[i].Nested()
	}
	return json.Marshal(map[string]any{"inputs": byName})
}

// The names of outputs that a model gives no name.
const (
	outputName = "output-0"
)

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
			return []Tensor{{Name: outputName, Shape: []int64{1}, Datatype: Bytes, Data: []any{strings.TrimSpace(string(answer))},
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
// smallest of BOOL, INT64, FP64 and BYTES that holds all.
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
	t := Tensor{Shape: shape, Data: []any{value}}
	if list, is := value.([]any); is {
		flat, err := unnest(nil, list, shape)
		if err != nil {
			return t, err
		}
		t.Data = flat
	} else {
		t.Shape = []int64{1}
	}
	if t.Data == nil {
		t.Data = []any{}
	}
	for _, datatype := range []Datatype{Bool, Int64, FP64, Bytes} {
		if !slices.ContainsFunc(t.Data, func(v any) bool { return datatype.holds(v) != nil }) {
			t.Datatype = datatype
			break
		}
	}
	if t.Datatype == "" {
		return t, fmt.Errorf("its values have no datatype in common")
	}
	if len(t.Data) == 0 {
		t.Datatype = FP64
	}
	return t, nil
}

// describe gives outputs the names and datatypes that the metadata has for them,
// where they hold the values.
func describe(tensors []Tensor, described []TensorMetadata) {
	if len(tensors) == 1 && len(described) == 1 && tensors[0].Name == outputName && described[0].Name != "" {
		tensors[0].Name = described[0].Name
	}
	for i := range tensors {
		t := &tensors[i]
		for _, m := range described {
			if m.Name == t.Name && m.Datatype.known() &&
				!slices.ContainsFunc(t.Data, func(v any) bool { return m.Datatype.holds(v) != nil }) {
				t.Datatype = m.Datatype
			}
		}
	}
}

// pick gives the outputs that the client asks for, all when it names none. Errors:
// ErrInvalid.
func (r *Request) pick(tensors []Tensor) ([]Tensor, error) {
	if len(r.Outputs) == 0 {
		return tensors, nil
	}
	var picked []Tensor
	for _, wanted := range r.Outputs {
		i := slices.IndexFunc(tensors, func(t Tensor) bool { return t.Name == wanted.Name })
		if i < 0 {
			var names []string
			for _, t := range tensors {
				names = append(names, t.Name)
			}
			return nil, fmt.Errorf("%w: there is no output %q, but %s", azml.ErrInvalid, wanted.Name, strings.Join(names, ", "))
		}
		picked = append(picked, tensors[i])
	}
	return picked, nil
}

package scoring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/openinference"
)

// wrappers are the members that a body may have its tensors in.
var wrappers = []string{"data", "inputs", "input_data", "instances"}

// readTensors reads the inputs of a model from a body: the values of the only input,
// nested as its shape is, or an object of all by name; alone, or in a member data,
// inputs, input_data or instances. Errors: ErrInvalid naming the input.
func readTensors(body []byte, inputs []openinference.TensorMetadata) ([]Tensor, error) {
	values, err := byName(body, inputs)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	list := make([]Tensor, len(inputs))
	for i, m := range inputs {
		r := &valueReader{Lists: openinference.Lists{Text: values[m.Name]}, shape: append([]int64(nil), m.Shape...), takes: m}
		data, err := kinds[m.Datatype].read(r)
		if err != nil {
			return nil, fmt.Errorf("%w: input %q: %w; the model takes %s of shape %v", azml.ErrInvalid, m.Name, err, m.Datatype, m.Shape)
		}
		list[i] = Tensor{Name: m.Name, Shape: r.shape, Data: data}
	}
	return list, nil
}

// described lists tensors for people.
func described(list []openinference.TensorMetadata) string {
	var parts []string
	for _, m := range list {
		parts = append(parts, fmt.Sprintf("%s (%s of shape %v)", m.Name, m.Datatype, m.Shape))
	}
	return strings.Join(parts, ", ")
}

// byName gives the text of each input.
func byName(body []byte, inputs []openinference.TensorMetadata) (map[string]json.RawMessage, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return nil, errors.New("the request's body is empty; send a JSON value")
	}
	if body[0] != '{' {
		var text json.RawMessage
		if err := json.Unmarshal(body, &text); err != nil {
			return nil, fmt.Errorf("the request's body is not JSON: %w", err)
		}
		return only(text, inputs)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, fmt.Errorf("the request's body is not JSON: %w", err)
	}
	if _, there := members[inputs[0].Name]; there {
		return members, known(members, inputs)
	}
	for _, name := range wrappers {
		inside, there := members[name]
		if !there {
			continue
		}
		if inside[0] != '{' {
			return only(inside, inputs)
		}
		var named map[string]json.RawMessage
		if err := json.Unmarshal(inside, &named); err != nil {
			return nil, err
		}
		return named, known(named, inputs)
	}
	return members, known(members, inputs)
}

// only gives a value as that of the only input.
func only(text json.RawMessage, inputs []openinference.TensorMetadata) (map[string]json.RawMessage, error) {
	if len(inputs) != 1 {
		return nil, fmt.Errorf("the model takes %s: send an object of them by name", described(inputs))
	}
	return map[string]json.RawMessage{inputs[0].Name: text}, nil
}

// known tells of a member that is no input.
func known(members map[string]json.RawMessage, inputs []openinference.TensorMetadata) error {
	for _, m := range inputs {
		if _, there := members[m.Name]; !there {
			return fmt.Errorf("the input %q is missing; the model takes %s", m.Name, described(inputs))
		}
	}
	if len(members) == len(inputs) {
		return nil
	}
	for name := range members {
		found := false
		for _, m := range inputs {
			found = found || m.Name == name
		}
		if !found {
			return fmt.Errorf("the model has no input %.40q; it takes %s", name, described(inputs))
		}
	}
	return nil
}

// writeTensors writes the outputs of a model as an object by name.
func writeTensors(outputs []Tensor) ([]byte, error) {
	out := []byte{'{'}
	for i := range outputs {
		t := &outputs[i]
		datatype, err := t.check()
		if err != nil {
			return nil, err
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, name...), ':')
		write := kinds[datatype].write
		out = openinference.AppendNested(out, t.Shape, func(out []byte, i int) []byte { return write(out, t.Data, i) })
	}
	return append(out, '}'), nil
}

// valueReader reads the lists of an input.
type valueReader struct {
	openinference.Lists

	shape []int64 // -1 where no list was read yet
	takes openinference.TensorMetadata
}

// readValues reads all values, and so the shape.
func readValues[T any](r *valueReader, parse func(*valueReader) (T, error)) (any, error) {
	size := int64(1)
	for _, n := range r.shape {
		size *= max(n, 1)
	}
	out := make([]T, 0, min(size, int64(len(r.Text))))
	err := readList(r, 0, &out, parse)
	return out, err
}

// readList reads what stands at a depth: a list for each dimension, then a value.
func readList[T any](r *valueReader, depth int, out *[]T, parse func(*valueReader) (T, error)) error {
	next := r.Peek()
	if depth == len(r.shape) {
		if next == '[' {
			return fmt.Errorf("it has more than %d dimensions", len(r.shape))
		}
		before := r.Text
		value, err := parse(r)
		if err != nil {
			return fmt.Errorf("%.40s is no %s", before[:len(before)-len(r.Text)], r.takes.Datatype)
		}
		*out = append(*out, value)
		return nil
	}
	if next != '[' {
		return fmt.Errorf("%.40s stands where a list belongs, in dimension %d", r.Word(), depth+1)
	}
	r.Skip()
	count := int64(0)
	for r.Peek() != ']' {
		if count++; r.shape[depth] >= 0 && count > r.shape[depth] {
			return fmt.Errorf("dimension %d has more than %d values", depth+1, r.shape[depth])
		}
		if err := readList(r, depth+1, out, parse); err != nil {
			return err
		}
	}
	r.Skip()
	if r.shape[depth] == -1 {
		r.shape[depth] = count
	}
	if count != r.shape[depth] {
		return fmt.Errorf("dimension %d has %d values and not %d", depth+1, count, r.shape[depth])
	}
	return nil
}

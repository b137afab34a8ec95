package openinference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/azml-go/azml"
)

// Request asks for an inference.
type Request struct {
	// ID is the client's name for the request.
	ID string
	// Parameters are what the client adds.
	Parameters map[string]any
	// Inputs are the tensors that are given.
	Inputs []Tensor
	// Outputs are the names of those that are wanted, all when empty.
	Outputs []string
}

// requestJSON is a request as it is sent.
type requestJSON struct {
	ID         string         `json:"id"`
	Parameters map[string]any `json:"parameters"`
	Inputs     []tensorJSON   `json:"inputs"`
	Outputs    []struct {
		Name string `json:"name"`
	} `json:"outputs"`
}

// ParseRequest reads a request. Errors: ErrInvalid naming the tensor.
func ParseRequest(body []byte) (*Request, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	var sent requestJSON
	if err := d.Decode(&sent); err != nil {
		return nil, fmt.Errorf("%w: the request is no inference request: %w", azml.ErrInvalid, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: the request is more than one JSON value", azml.ErrInvalid)
	}
	r := &Request{ID: sent.ID, Parameters: sent.Parameters, Inputs: make([]Tensor, len(sent.Inputs))}
	for i, input := range sent.Inputs {
		if err := r.Inputs[i].read(input); err != nil {
			return nil, fmt.Errorf("%w: input %q: %w", azml.ErrInvalid, input.Name, err)
		}
	}
	for _, output := range sent.Outputs {
		r.Outputs = append(r.Outputs, output.Name)
	}
	return r, nil
}

// Check tells what is wrong with a request: with its inputs' names, shapes and
// numbers of values. Errors: ErrInvalid.
func (r *Request) Check() error {
	if len(r.Inputs) == 0 {
		return fmt.Errorf("%w: the request has no inputs", azml.ErrInvalid)
	}
	seen := map[string]bool{}
	for i, input := range r.Inputs {
		if input.Name == "" || seen[input.Name] {
			return fmt.Errorf("%w: input %d: give each input a name of its own, not %q", azml.ErrInvalid, i+1, input.Name)
		}
		seen[input.Name] = true
		size, err := input.check()
		if err == nil && int64(input.Data.Len()) != size {
			err = fmt.Errorf("it has %d values, the shape %v has %d", input.Data.Len(), input.Shape, size)
		}
		if err != nil {
			return fmt.Errorf("%w: input %q: %w", azml.ErrInvalid, input.Name, err)
		}
	}
	return nil
}

// Body gives the request as the JSON that a model takes: {"data": …} for a single
// input, {"inputs": {name: …}} for several, the values nested as the shapes say.
func (r *Request) Body() []byte {
	if len(r.Inputs) == 1 {
		return append(r.Inputs[0].appendNested([]byte(`{"data":`)), '}')
	}
	out := []byte(`{"inputs":`)
	for i := range r.Inputs {
		name, err := json.Marshal(r.Inputs[i].Name)
		if err != nil {
			panic("openinference: a name can't be encoded: " + err.Error())
		}
		out = append(out, "{,"[min(i, 1)])
		out = append(append(out, name...), ':')
		out = r.Inputs[i].appendNested(out)
	}
	return append(out, "}}"...)
}

// pick gives the outputs that the client asks for, all when it names none. Errors:
// ErrInvalid.
func (r *Request) pick(tensors []Tensor) ([]Tensor, error) {
	if len(r.Outputs) == 0 {
		return tensors, nil
	}
	var picked []Tensor
	for _, wanted := range r.Outputs {
		i := slices.IndexFunc(tensors, func(t Tensor) bool { return t.Name == wanted })
		if i < 0 {
			var names []string
			for _, t := range tensors {
				names = append(names, t.Name)
			}
			return nil, fmt.Errorf("%w: there is no output %q, but %s", azml.ErrInvalid, wanted, strings.Join(names, ", "))
		}
		picked = append(picked, tensors[i])
	}
	return picked, nil
}

package openinference

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

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

// ParseRequest reads a request. Errors: ErrInvalid naming the tensor.
func ParseRequest(body []byte) (*Request, error) {
	r := &Request{}
	err := checkJSON(body)
	if err == nil {
		err = members("the request", body, r.take)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	return r, nil
}

// checkJSON tells why a body is no JSON, as which it has to be UTF-8.
func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return fmt.Errorf("the request is no UTF-8")
	}
	if json.Valid(body) {
		return nil
	}
	return fmt.Errorf("the request is no JSON: %w", json.Unmarshal(body, new(any))) // which tells why
}

// take takes a member of the request.
func (r *Request) take(name string, value []byte) (err error) {
	switch name {
	case "id":
		r.ID, err = textOf(name, value)
	case "parameters":
		r.Parameters, err = parametersOf(value)
	case "inputs":
		r.Inputs = nil
		err = items(name, value, r.takeInput)
	case "outputs":
		r.Outputs = nil
		err = items(name, value, r.takeOutput)
	}
	return err
}

func (r *Request) takeInput(input []byte) error {
	t := sentTensor{}
	err := members("it", input, t.take)
	if err == nil {
		err = t.read()
	}
	switch {
	case err != nil && t.Name == "": // which may stand behind what is wrong
		return fmt.Errorf("input %d: %w", len(r.Inputs)+1, err)
	case err != nil:
		return fmt.Errorf("input %q: %w", t.Name, err)
	}
	r.Inputs = append(r.Inputs, t.Tensor)
	return nil
}

func (r *Request) takeOutput(output []byte) error {
	wanted := ""
	err := members("an output", output, func(name string, value []byte) (err error) {
		if name == "name" {
			wanted, err = textOf(name, value)
		}
		return err
	})
	r.Outputs = append(r.Outputs, wanted)
	return err
}

// Check tells what is wrong with a request: with its inputs' names, shapes and
// numbers of values, and the names of its outputs. Errors: ErrInvalid.
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
	return r.checkOutputs()
}

// checkOutputs tells what is wrong with the outputs that are wanted: one that is asked
// for many times would take its memory as often.
func (r *Request) checkOutputs() error {
	seen := map[string]bool{}
	for i, wanted := range r.Outputs {
		if wanted == "" || seen[wanted] {
			return fmt.Errorf("%w: output %d: name each output that you want once, not %q", azml.ErrInvalid, i+1, wanted)
		}
		seen[wanted] = true
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

package openinference

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/azml-go/azml"
)

// Tensor is a named array of values.
type Tensor struct {
	// Name is the tensor's name.
	Name string `json:"name"`
	// Shape is the length of each dimension.
	Shape []int64 `json:"shape"`
	// Datatype is the type of its values.
	Datatype Datatype `json:"datatype"`
	// Parameters are what the client or the model adds.
	Parameters map[string]any `json:"parameters,omitempty"`
	// Data are the values in row-major order; in what a client sends they may also
	// be nested as Shape says.
	Data []any `json:"data"`
}

// Request asks for an inference.
type Request struct {
	// ID is the client's name for the request.
	ID string `json:"id,omitempty"`
	// Parameters are what the client adds.
	Parameters map[string]any `json:"parameters,omitempty"`
	// Inputs are the tensors that are given.
	Inputs []Tensor `json:"inputs"`
	// Outputs are those that are wanted, all when empty.
	Outputs []Wanted `json:"outputs,omitempty"`
}

// Wanted is an output that a client asks for.
type Wanted struct {
	// Name is the output's name.
	Name string `json:"name"`
	// Parameters are what the client adds.
	Parameters map[string]any `json:"parameters,omitempty"`
}

// ParseRequest reads a request and flattens its tensors. Errors: ErrInvalid naming
// the tensor.
func ParseRequest(body []byte) (*Request, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var r Request
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("%w: the request is no inference request: %w", azml.ErrInvalid, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: the request is more than one JSON value", azml.ErrInvalid)
	}
	if len(r.Inputs) == 0 {
		return nil, fmt.Errorf("%w: the request has no inputs", azml.ErrInvalid)
	}
	seen := map[string]bool{}
	for i := range r.Inputs {
		input := &r.Inputs[i]
		if input.Name == "" || seen[input.Name] {
			return nil, fmt.Errorf("%w: input %d: give each input a name of its own, not %q", azml.ErrInvalid, i+1, input.Name)
		}
		seen[input.Name] = true
		if err := input.flatten(); err != nil {
			return nil, fmt.Errorf("%w: input %q: %w", azml.ErrInvalid, input.Name, err)
		}
	}
	return &r, nil
}

// flatten checks the tensor and brings its data into row-major order.
func (t *Tensor) flatten() error {
	if !t.Datatype.known() {
		return fmt.Errorf("datatype %q: use BOOL, INT8 to INT64, UINT8 to UINT64, FP16 to FP64 or BYTES", t.Datatype)
	}
	size, err := elements(t.Shape)
	if err != nil {
		return err
	}
	if t.Data == nil {
		return fmt.Errorf("it has no data")
	}
	if nested(t.Data) {
		flat := make([]any, 0, min(size, 1<<20))
		if flat, err = unnest(flat, t.Data, t.Shape); err != nil {
			return err
		}
		t.Data = flat
	}
	if int64(len(t.Data)) != size {
		return fmt.Errorf("it has %d values, the shape %v has %d", len(t.Data), t.Shape, size)
	}
	for i, value := range t.Data {
		if err := t.Datatype.holds(value); err != nil {
			return fmt.Errorf("value %d: %w", i+1, err)
		}
	}
	return nil
}

// elements gives the number of values in a shape.
func elements(shape []int64) (int64, error) {
	if shape == nil {
		return 0, fmt.Errorf("it has no shape")
	}
	if i := slices.IndexFunc(shape, func(n int64) bool { return n < 0 }); i >= 0 {
		return 0, fmt.Errorf("the shape %v has a negative length", shape)
	}
	// Nested lists of nothing take memory, too: those before the first length of 0.
	size, most := int64(1), int64(math.MaxInt32)
	if slices.Contains(shape, 0) {
		most = 1 << 16
	}
	for _, n := range shape {
		if n == 0 {
			return 0, nil
		}
		if size > most/n {
			return 0, fmt.Errorf("the shape %v is too large", shape)
		}
		size *= n
	}
	return size, nil
}

func nested(data []any) bool {
	return slices.ContainsFunc(data, func(value any) bool { _, is := value.([]any); return is })
}

// unnest appends nested values in row-major order.
func unnest(flat, data []any, shape []int64) ([]any, error) {
	if len(shape) == 0 || int64(len(data)) != shape[0] {
		return nil, fmt.Errorf("its data are not nested as the shape says")
	}
	if len(shape) == 1 {
		if nested(data) {
			return nil, fmt.Errorf("its data are nested deeper than the shape says")
		}
		return append(flat, data...), nil
	}
	for _, value := range data {
		inner, is := value.([]any)
		if !is {
			return nil, fmt.Errorf("its data are not nested as the shape says")
		}
		var err error
		if flat, err = unnest(flat, inner, shape[1:]); err != nil {
			return nil, err
		}
	}
	return flat, nil
}

// Nested gives the tensor's values nested as its shape says; a single value for the
// empty shape.
func (t *Tensor) Nested() any {
	rest := t.Data
	return nest(&rest, t.Shape)
}

func nest(rest *[]any, shape []int64) any {
	if len(shape) == 0 {
		value := (*rest)[0]
		*rest = (*rest)[1:]
		return value
	}
	if len(shape) == 1 {
		row := (*rest)[:shape[0]:shape[0]]
		*rest = (*rest)[shape[0]:]
		return row
	}
	list := make([]any, shape[0])
	for i := range list {
		list[i] = nest(rest, shape[1:])
	}
	return list
}

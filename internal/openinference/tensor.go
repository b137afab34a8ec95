package openinference

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Tensor is a named array of values.
type Tensor struct {
	// Name is the tensor's name.
	Name string
	// Shape is the length of each dimension.
	Shape []int64
	// Datatype is the type of its values.
	Datatype Datatype
	// Parameters are what the client or the model adds.
	Parameters map[string]any
	// Data are the values.
	Data Data
}

// tensorJSON is a tensor as it is written.
type tensorJSON struct {
	Name       string          `json:"name"`
	Shape      []int64         `json:"shape"`
	Datatype   Datatype        `json:"datatype"`
	Parameters map[string]any  `json:"parameters,omitempty"`
	Data       json.RawMessage `json:"data"`
}

// MarshalJSON implements json.Marshaler.
func (t Tensor) MarshalJSON() ([]byte, error) {
	data := []byte{'['}
	for i := range t.Data.Len() {
		if i > 0 {
			data = append(data, ',')
		}
		data = t.Data.appendJSON(data, t.Datatype, i)
	}
	return json.Marshal(tensorJSON{t.Name, t.Shape, t.Datatype, t.Parameters, append(data, ']')})
}

// sentTensor is a tensor whose data are yet to be read.
type sentTensor struct {
	Tensor

	data []byte
}

// take takes a member of what was sent.
func (t *sentTensor) take(name string, value []byte) (err error) {
	switch name {
	case "name":
		t.Name, err = textOf(name, value)
	case "shape":
		t.Shape, err = shapeOf(value)
	case "datatype":
		var text string
		text, err = textOf(name, value)
		t.Datatype = Datatype(text)
	case "parameters":
		t.Parameters, err = parametersOf(value)
	case "data":
		t.data = value
	}
	return err
}

// read reads the data: in row-major order, or nested as the shape says.
func (t *sentTensor) read() error {
	if _, err := t.check(); err != nil {
		return err
	}
	if len(t.data) == 0 {
		return fmt.Errorf("it has no data")
	}
	r := reader{Lists: Lists{Text: t.data}, tensor: &t.Tensor}
	return r.list(0)
}

// shapeOf reads a shape, nil of nil.
func shapeOf(value []byte) ([]int64, error) {
	if value == nil {
		return nil, nil
	}
	shape := []int64{}
	err := items("shape", value, func(item []byte) error {
		n, err := strconv.ParseInt(string(item), 10, 64)
		if err != nil {
			return fmt.Errorf("its shape has %.40s, which is no length", item)
		}
		shape = append(shape, n)
		return checkDimensions(len(shape))
	})
	return shape, err
}

// parametersOf reads the parameters of a request or a tensor, nil of nil.
func parametersOf(value []byte) (parameters map[string]any, err error) {
	switch {
	case value == nil:
		return nil, nil
	case value[0] != '{':
		return nil, fmt.Errorf("the parameters are no JSON object")
	}
	if err := json.Unmarshal(value, &parameters); err != nil {
		return nil, fmt.Errorf("the parameters can't be read: %w", err)
	}
	return parameters, nil
}

// check gives the number of values that the tensor must have.
func (t *Tensor) check() (size int64, err error) {
	if t.Datatype.class() == classNone {
		return 0, fmt.Errorf("datatype %q: use BOOL, INT8 to INT64, UINT8 to UINT64, FP16 to FP64 or BYTES", t.Datatype)
	}
	return elements(t.Shape)
}

// mostDimensions is how many a tensor may have: NumPy takes no more, and lists are
// nested as deep.
const mostDimensions = 64

func checkDimensions(n int) error {
	if n > mostDimensions {
		return fmt.Errorf("the shape has more than %d dimensions", mostDimensions)
	}
	return nil
}

// elements gives the number of values in a shape.
func elements(shape []int64) (int64, error) {
	if shape == nil {
		return 0, fmt.Errorf("it has no shape")
	}
	if err := checkDimensions(len(shape)); err != nil {
		return 0, err
	}
	if slices.ContainsFunc(shape, func(n int64) bool { return n < 0 }) {
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

// appendNested appends the values nested as the shape says.
func (t *Tensor) appendNested(out []byte) []byte {
	return AppendNested(out, t.Shape, func(out []byte, i int) []byte { return t.Data.appendJSON(out, t.Datatype, i) })
}

// reader reads the lists of a tensor's data.
type reader struct {
	Lists

	tensor *Tensor
	nested bool // lists stand in the list
}

// list reads a list at a depth, with what it holds.
func (r *reader) list(depth int) error {
	if r.Peek() != '[' {
		return fmt.Errorf("its data are no list")
	}
	r.Skip()
	count := int64(0)
	for r.Peek() != ']' {
		count++
		if err := r.item(depth, count); err != nil {
			return err
		}
	}
	r.Skip()
	if r.nested && (depth >= len(r.tensor.Shape) || count != r.tensor.Shape[depth]) {
		return errNesting
	}
	return nil
}

var errNesting = fmt.Errorf("its data are not nested as the shape says")

// item reads a value, or a list below another.
func (r *reader) item(depth int, count int64) error {
	switch r.Peek() {
	case '{':
		return fmt.Errorf("value %d: an object is no %s", count, r.tensor.Datatype)
	case '[':
		if r.nested = r.nested || depth == 0 && count == 1; !r.nested || depth+1 >= len(r.tensor.Shape) {
			return errNesting
		}
		return r.list(depth + 1)
	}
	if r.nested && depth+1 != len(r.tensor.Shape) {
		return errNesting
	}
	if err := r.tensor.Data.add(r.tensor.Datatype, r.value()); err != nil {
		return fmt.Errorf("value %d: %w", r.tensor.Data.Len(), err)
	}
	return nil
}

// value reads a value that is no list.
func (r *reader) value() any {
	word := r.Word()
	if word[0] == '"' {
		return unquote(word)
	}
	switch string(word) {
	case "true":
		return true
	case "false":
		return false
	case "null":
		return nil
	}
	return json.Number(word)
}

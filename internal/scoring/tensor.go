package scoring

import (
	"fmt"
	"slices"

	"github.com/azml-go/azml/internal/openinference"
)

// Tensor is a named array of values as a model in this process takes and gives it.
type Tensor struct {
	// Name is the tensor's name.
	Name string
	// Shape is the length of each dimension.
	Shape []int64
	// Data are the values in row-major order: a slice of float32, float64, int8 to
	// int64, uint8 to uint64, bool or string.
	Data any
}

// kinds has what the values of each datatype need: how they are read from JSON and
// written, and how they are changed from and to what the Open Inference Protocol
// carries.
var kinds = map[openinference.Datatype]kind{
	openinference.FP32:   floats[float32](32),
	openinference.FP64:   floats[float64](64),
	openinference.Int8:   ints[int8](8),
	openinference.Int16:  ints[int16](16),
	openinference.Int32:  ints[int32](32),
	openinference.Int64:  ints[int64](64),
	openinference.Uint8:  uints[uint8](8),
	openinference.Uint16: uints[uint16](16),
	openinference.Uint32: uints[uint32](32),
	openinference.Uint64: uints[uint64](64),
	openinference.Bool:   bools(),
	openinference.Bytes:  texts(),
}

// kind is what the values of a datatype need. Slices are of its Go type.
type kind struct {
	read   func(r *valueReader) (any, error)
	write  func(out []byte, values any, i int) []byte
	join   func(parts []any) any
	cut    func(values any, from, to int64) any
	length func(values any) int
	from   func(data openinference.Data) any
	to     func(values any) openinference.Data
	fill   func(n, value int) any
}

// kindOf makes what is the same for all types.
func kindOf[T any](parse func(r *valueReader) (T, error), write func(out []byte, value T) []byte, number func(n int) T) kind {
	return kind{
		read:  func(r *valueReader) (any, error) { return readValues(r, parse) },
		write: func(out []byte, values any, i int) []byte { return write(out, values.([]T)[i]) },
		join: func(parts []any) any {
			all := make([][]T, len(parts))
			for i, part := range parts {
				all[i] = part.([]T)
			}
			return slices.Concat(all...)
		},
		cut:    func(values any, from, to int64) any { return values.([]T)[from:to:to] },
		length: func(values any) int { return len(values.([]T)) },
		fill:   func(n, value int) any { return slices.Repeat([]T{number(value)}, n) },
	}
}

// datatypeOf gives the datatype of a slice of values.
func datatypeOf(values any) (openinference.Datatype, bool) {
	switch values.(type) {
	case []float32:
		return openinference.FP32, true
	case []float64:
		return openinference.FP64, true
	case []int8:
		return openinference.Int8, true
	case []int16:
		return openinference.Int16, true
	case []int32:
		return openinference.Int32, true
	case []int64:
		return openinference.Int64, true
	case []uint8:
		return openinference.Uint8, true
	case []uint16:
		return openinference.Uint16, true
	case []uint32:
		return openinference.Uint32, true
	case []uint64:
		return openinference.Uint64, true
	case []bool:
		return openinference.Bool, true
	case []string:
		return openinference.Bytes, true
	}
	return "", false
}

// values gives how many values a shape has.
func values(shape []int64) int64 {
	n := int64(1)
	for _, length := range shape {
		n *= length
	}
	return n
}

// check gives the kind of a tensor that a model has given, if it holds what its
// shape says.
func (t *Tensor) check() (openinference.Datatype, error) {
	datatype, known := datatypeOf(t.Data)
	if !known {
		return "", fmt.Errorf("output %q: a %T is no slice of values", t.Name, t.Data)
	}
	if n := kinds[datatype].length(t.Data); int64(n) != values(t.Shape) {
		return "", fmt.Errorf("output %q has %d values, the shape %v has %d", t.Name, n, t.Shape, values(t.Shape))
	}
	return datatype, nil
}

// fromProtocol gives the tensors of a request, which was held against the inputs, in
// the order of these.
func fromProtocol(given []openinference.Tensor, inputs []openinference.TensorMetadata) []Tensor {
	list := make([]Tensor, len(inputs))
	for i, m := range inputs {
		at := slices.IndexFunc(given, func(t openinference.Tensor) bool { return t.Name == m.Name })
		list[i] = Tensor{Name: m.Name, Shape: given[at].Shape, Data: kinds[m.Datatype].from(given[at].Data)}
	}
	return list
}

// toProtocol gives what a model has answered as the protocol has it.
func toProtocol(given []Tensor) ([]openinference.Tensor, error) {
	list := make([]openinference.Tensor, len(given))
	for i, t := range given {
		datatype, err := t.check()
		if err != nil {
			return nil, err
		}
		list[i] = openinference.Tensor{Name: t.Name, Shape: t.Shape, Datatype: datatype, Data: kinds[datatype].to(t.Data)}
	}
	return list, nil
}

package onnx

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/model"
)

// element is a type of values that is served.
type element struct {
	onnx ort.TensorElementDataType
	// name is NumPy's.
	name string
	// slice is the Go type of the values, and tensor that of what ONNX Runtime has them in.
	slice, tensor reflect.Type
	// empty makes n values; nil for texts, which need memory that is not Go's.
	empty func(n int64) any
	// bind gives a tensor of values.
	bind func(h *holder, shape []int64, values any) (ort.Value, error)
	// values gives those of a tensor.
	values func(v ort.Value) (any, error)
}

// elements are all types that are served.
var elements = []element{
	numbers[float32](ort.TensorElementDataTypeFloat, "float32"),
	numbers[float64](ort.TensorElementDataTypeDouble, "float64"),
	numbers[int8](ort.TensorElementDataTypeInt8, "int8"),
	numbers[int16](ort.TensorElementDataTypeInt16, "int16"),
	numbers[int32](ort.TensorElementDataTypeInt32, "int32"),
	numbers[int64](ort.TensorElementDataTypeInt64, "int64"),
	numbers[uint8](ort.TensorElementDataTypeUint8, "uint8"),
	numbers[uint16](ort.TensorElementDataTypeUint16, "uint16"),
	numbers[uint32](ort.TensorElementDataTypeUint32, "uint32"),
	numbers[uint64](ort.TensorElementDataTypeUint64, "uint64"),
	numbers[bool](ort.TensorElementDataTypeBool, "bool"),
	{ort.TensorElementDataTypeString, "str", reflect.TypeFor[[]string](), reflect.TypeFor[*ort.StringTensor](), nil,
		func(_ *holder, shape []int64, values any) (ort.Value, error) { return texts(shape, values.([]string)) },
		func(v ort.Value) (any, error) { return v.(*ort.StringTensor).GetContents() }},
}

// numbers are values that Go and ONNX Runtime have in the same memory.
func numbers[T ort.TensorData](onnx ort.TensorElementDataType, name string) element {
	return element{onnx, name, reflect.TypeFor[[]T](), reflect.TypeFor[*ort.Tensor[T]](),
		func(n int64) any { return make([]T, n) },
		func(h *holder, shape []int64, values any) (ort.Value, error) { return bound(h, shape, values.([]T)) },
		func(v ort.Value) (any, error) { return v.(*ort.Tensor[T]).GetData(), nil }}
}

// elementWith gives the type of which is says so, nil when there is none.
func elementWith(is func(e *element) bool) *element {
	for i := range elements {
		if is(&elements[i]) {
			return &elements[i]
		}
	}
	return nil
}

// fieldOf describes an input or output. An output that is a list of maps, as
// classifiers of scikit-learn have for probabilities, is served as a table of them.
func fieldOf(info ort.InputOutputInfo, output bool) (model.Field, error) {
	f := model.Field{Name: info.Name}
	if info.OrtValueType == ort.ONNXTypeSequence && output {
		f.Type, f.Shape = "float32", []int{-1, -1}
		return f, nil
	}
	e := elementWith(func(e *element) bool { return e.onnx == info.DataType })
	if e == nil || info.OrtValueType != ort.ONNXTypeTensor {
		return f, fmt.Errorf("%s: only tensors of numbers, truth values and texts can be served", info.String())
	}
	f.Type = e.name
	if len(info.Dimensions) == 0 {
		return f, fmt.Errorf("%s: a value without dimensions can't be served", info.String())
	}
	for _, n := range info.Dimensions {
		f.Shape = append(f.Shape, int(max(n, -1)))
	}
	return f, nil
}

// bind gives a value that uses the tensor's memory; texts are copied.
func (h *holder) bind(t endpoint.Tensor) (ort.Value, error) {
	e := elementWith(func(e *element) bool { return e.slice == reflect.TypeOf(t.Data) })
	if e == nil {
		return nil, fmt.Errorf("a %T is no slice of values", t.Data)
	}
	v, err := e.bind(h, t.Shape, t.Data)
	if err != nil {
		return nil, err
	}
	h.keep(v)
	return v, nil
}

func bound[T ort.TensorData](h *holder, shape []int64, data []T) (ort.Value, error) {
	if len(data) > 0 {
		h.pins.Pin(&data[0])
	}
	v, err := ort.NewTensor(shape, data)
	if err != nil {
		return nil, err
	}
	return v, nil
}

func texts(shape []int64, data []string) (ort.Value, error) {
	v, err := ort.NewStringTensor(shape)
	if err != nil {
		return nil, err
	}
	if err := v.SetContents(data); err != nil {
		return nil, errors.Join(err, v.Destroy())
	}
	return v, nil
}

// empty gives a tensor for an output to be written to; false for texts, which need
// memory that is not Go's.
func empty(f model.Field, shape []int64) (endpoint.Tensor, bool) {
	e := elementWith(func(e *element) bool { return e.name == f.Type })
	if e == nil || e.empty == nil {
		return endpoint.Tensor{}, false
	}
	n := int64(1)
	for _, length := range shape {
		n *= length
	}
	return endpoint.Tensor{Name: f.Name, Shape: shape, Data: e.empty(n)}, true
}

// tensorOf gives what a value holds. The memory is Go's, and stays when the value is
// freed.
func tensorOf(v ort.Value) (t endpoint.Tensor, err error) {
	if list, is := v.(*ort.Sequence); is {
		return table(list)
	}
	e := elementWith(func(e *element) bool { return e.tensor == reflect.TypeOf(v) })
	if e == nil {
		return t, fmt.Errorf("a %T can't be served", v)
	}
	t.Shape = slices.Clone([]int64(v.GetShape()))
	t.Data, err = e.values(v)
	return t, err
}

// table gives a list of maps from classes to probabilities as a tensor, a row for
// each map, its values in the order of the keys.
func table(list *ort.Sequence) (endpoint.Tensor, error) {
	var none endpoint.Tensor
	rows, err := list.GetValues()
	if err != nil {
		return none, err
	}
	var data []float32
	for _, row := range rows {
		m, is := row.(*ort.Map)
		if !is {
			return none, fmt.Errorf("a list of %T can't be served", row)
		}
		keys, values, err := m.GetKeysAndValues()
		if err != nil {
			return none, err
		}
		numbers, is := values.(*ort.Tensor[float32])
		if !is {
			return none, fmt.Errorf("a map to %T can't be served", values)
		}
		sorted := numbers.GetData()
		switch keys := keys.(type) {
		case *ort.Tensor[int64]:
			sorted = byKey(keys.GetData(), sorted)
		case *ort.StringTensor:
			names, err := keys.GetContents()
			if err != nil {
				return none, err
			}
			sorted = byKey(names, sorted)
		}
		data = append(data, sorted...)
	}
	columns := 0
	if len(rows) > 0 {
		columns = len(data) / len(rows)
	}
	if columns*len(rows) != len(data) {
		return none, errors.New("the maps of a list have different numbers of keys")
	}
	return endpoint.Tensor{Shape: []int64{int64(len(rows)), int64(columns)}, Data: data}, nil
}

// byKey gives the values in the order of their keys.
func byKey[K cmp.Ordered](keys []K, values []float32) []float32 {
	at := make([]int, len(keys))
	for i := range at {
		at[i] = i
	}
	slices.SortFunc(at, func(a, b int) int { return cmp.Compare(keys[a], keys[b]) })
	sorted := make([]float32, len(values))
	for i, from := range at {
		sorted[i] = values[from]
	}
	return sorted
}

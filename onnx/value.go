package onnx

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/model"
)

// types are NumPy's names of the types that are served.
var types = map[ort.TensorElementDataType]string{
	ort.TensorElementDataTypeFloat:  "float32",
	ort.TensorElementDataTypeDouble: "float64",
	ort.TensorElementDataTypeInt8:   "int8",
	ort.TensorElementDataTypeInt16:  "int16",
	ort.TensorElementDataTypeInt32:  "int32",
	ort.TensorElementDataTypeInt64:  "int64",
	ort.TensorElementDataTypeUint8:  "uint8",
	ort.TensorElementDataTypeUint16: "uint16",
	ort.TensorElementDataTypeUint32: "uint32",
	ort.TensorElementDataTypeUint64: "uint64",
	ort.TensorElementDataTypeBool:   "bool",
	ort.TensorElementDataTypeString: "str",
}

// fieldOf describes an input or output. An output that is a list of maps, as
// classifiers of scikit-learn have for probabilities, is served as a table of them.
func fieldOf(info ort.InputOutputInfo, output bool) (model.Field, error) {
	f := model.Field{Name: info.Name}
	if info.OrtValueType == ort.ONNXTypeSequence && output {
		f.Type, f.Shape = "float32", []int{-1, -1}
		return f, nil
	}
	known := false
	if f.Type, known = types[info.DataType]; !known || info.OrtValueType != ort.ONNXTypeTensor {
		return f, fmt.Errorf("%s: only tensors of numbers, truth values and texts can be served", info.String())
	}
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
	var v ort.Value
	var err error
	switch data := t.Data.(type) {
	case []float32:
		v, err = bound(h, t.Shape, data)
	case []float64:
		v, err = bound(h, t.Shape, data)
	case []int8:
		v, err = bound(h, t.Shape, data)
	case []int16:
		v, err = bound(h, t.Shape, data)
	case []int32:
		v, err = bound(h, t.Shape, data)
	case []int64:
		v, err = bound(h, t.Shape, data)
	case []uint8:
		v, err = bound(h, t.Shape, data)
	case []uint16:
		v, err = bound(h, t.Shape, data)
	case []uint32:
		v, err = bound(h, t.Shape, data)
	case []uint64:
		v, err = bound(h, t.Shape, data)
	case []bool:
		v, err = bound(h, t.Shape, data)
	case []string:
		v, err = texts(t.Shape, data)
	default:
		return nil, fmt.Errorf("a %T is no slice of values", t.Data)
	}
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
	n := int64(1)
	for _, length := range shape {
		n *= length
	}
	t := endpoint.Tensor{Name: f.Name, Shape: shape}
	switch f.Type {
	case "float32":
		t.Data = make([]float32, n)
	case "float64":
		t.Data = make([]float64, n)
	case "int8":
		t.Data = make([]int8, n)
	case "int16":
		t.Data = make([]int16, n)
	case "int32":
		t.Data = make([]int32, n)
	case "int64":
		t.Data = make([]int64, n)
	case "uint8":
		t.Data = make([]uint8, n)
	case "uint16":
		t.Data = make([]uint16, n)
	case "uint32":
		t.Data = make([]uint32, n)
	case "uint64":
		t.Data = make([]uint64, n)
	case "bool":
		t.Data = make([]bool, n)
	}
	return t, t.Data != nil
}

// tensorOf gives what a value holds. The memory is Go's, and stays when the value is
// freed.
func tensorOf(v ort.Value) (endpoint.Tensor, error) {
	t := endpoint.Tensor{Shape: slices.Clone([]int64(v.GetShape()))}
	switch v := v.(type) {
	case *ort.Tensor[float32]:
		t.Data = v.GetData()
	case *ort.Tensor[float64]:
		t.Data = v.GetData()
	case *ort.Tensor[int8]:
		t.Data = v.GetData()
	case *ort.Tensor[int16]:
		t.Data = v.GetData()
	case *ort.Tensor[int32]:
		t.Data = v.GetData()
	case *ort.Tensor[int64]:
		t.Data = v.GetData()
	case *ort.Tensor[uint8]:
		t.Data = v.GetData()
	case *ort.Tensor[uint16]:
		t.Data = v.GetData()
	case *ort.Tensor[uint32]:
		t.Data = v.GetData()
	case *ort.Tensor[uint64]:
		t.Data = v.GetData()
	case *ort.Tensor[bool]:
		t.Data = v.GetData()
	case *ort.StringTensor:
		data, err := v.GetContents()
		t.Data = data
		return t, err
	case *ort.Sequence:
		return table(v)
	default:
		return t, fmt.Errorf("a %T can't be served", v)
	}
	return t, nil
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

package inferencegrpc

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/openinference"
	pb "github.com/azml-go/azml/internal/openinference/inferencepb"
)

// request reads a request. Errors: ErrInvalid naming the tensor.
func request(req *pb.ModelInferRequest) (*openinference.Request, error) {
	raw := req.GetRawInputContents()
	if len(raw) > 0 && len(raw) != len(req.GetInputs()) {
		return nil, fmt.Errorf("%w: there are %d raw contents for %d inputs", azml.ErrInvalid, len(raw), len(req.GetInputs()))
	}
	out := &openinference.Request{ID: req.GetId(), Parameters: parameters(req.GetParameters())}
	for i, input := range req.GetInputs() {
		t := openinference.Tensor{Name: input.GetName(), Shape: input.GetShape(), Datatype: openinference.Datatype(input.GetDatatype()),
			Parameters: parameters(input.GetParameters())}
		if t.Shape == nil {
			t.Shape = []int64{} // of one value
		}
		var err error
		switch {
		case len(raw) == 0:
			t.Data, err = contents(t.Datatype, input.GetContents())
		case input.GetContents() != nil:
			err = fmt.Errorf("it has both contents and raw contents")
		default:
			t.Data, err = decode(t.Datatype, raw[i])
		}
		if err != nil {
			return nil, fmt.Errorf("%w: input %q: %w", azml.ErrInvalid, t.Name, err)
		}
		out.Inputs = append(out.Inputs, t)
	}
	for _, wanted := range req.GetOutputs() {
		out.Outputs = append(out.Outputs, wanted.GetName())
	}
	return out, nil
}

func parameters(sent map[string]*pb.InferParameter) map[string]any {
	if len(sent) == 0 {
		return nil
	}
	out := map[string]any{}
	for name, p := range sent {
		switch v := p.GetParameterChoice().(type) {
		case *pb.InferParameter_BoolParam:
			out[name] = v.BoolParam
		case *pb.InferParameter_Int64Param:
			out[name] = v.Int64Param
		case *pb.InferParameter_StringParam:
			out[name] = v.StringParam
		case *pb.InferParameter_DoubleParam:
			out[name] = v.DoubleParam
		case *pb.InferParameter_Uint64Param:
			out[name] = v.Uint64Param
		}
	}
	return out
}

// contents gives the values of the one list that is for the datatype.
func contents(datatype openinference.Datatype, sent *pb.InferTensorContents) (openinference.Data, error) {
	var d openinference.Data
	switch datatype {
	case openinference.Bool:
		d.Bools = sent.GetBoolContents()
	case openinference.Int8, openinference.Int16, openinference.Int32:
		d.Ints = widened[int64](sent.GetIntContents())
	case openinference.Int64:
		d.Ints = sent.GetInt64Contents()
	case openinference.Uint8, openinference.Uint16, openinference.Uint32:
		d.Uints = widened[uint64](sent.GetUintContents())
	case openinference.Uint64:
		d.Uints = sent.GetUint64Contents()
	case openinference.FP32:
		d.Floats = widened[float64](sent.GetFp32Contents())
	case openinference.FP64:
		d.Floats = sent.GetFp64Contents()
	case openinference.FP16:
		return d, fmt.Errorf("FP16 has no list of contents: send raw contents")
	case openinference.Bytes:
		for i, text := range sent.GetBytesContents() {
			if !utf8.Valid(text) {
				return d, fmt.Errorf("value %d is no UTF-8 text", i+1)
			}
			d.Texts = append(d.Texts, string(text))
		}
	}
	return d, d.Fits(datatype)
}

// widened gives numbers as larger ones.
func widened[To, From int32 | uint32 | float32 | int64 | uint64 | float64](from []From) []To {
	to := make([]To, len(from))
	for i, v := range from {
		to[i] = To(v)
	}
	return to
}

// decode reads raw contents: little-endian numbers, a byte for each of BOOL, and
// texts behind their lengths of four bytes.
func decode(datatype openinference.Datatype, raw []byte) (d openinference.Data, err error) {
	if datatype == openinference.Bytes {
		d.Texts, err = texts(raw)
		return d, err
	}
	size := datatype.Size()
	if size == 0 {
		return d, nil // there is no such datatype, as the request's check says
	}
	if len(raw)%size != 0 {
		return d, fmt.Errorf("%d raw bytes are no whole number of values of %d bytes", len(raw), size)
	}
	for ; len(raw) > 0; raw = raw[size:] {
		bits := little(raw[:size])
		switch datatype {
		case openinference.Bool:
			d.Bools = append(d.Bools, bits != 0)
		case openinference.Int8, openinference.Int16, openinference.Int32, openinference.Int64:
			unused := 64 - 8*size
			d.Ints = append(d.Ints, int64(bits<<unused)>>unused)
		case openinference.FP16:
			d.Floats = append(d.Floats, fromHalf(uint16(bits)))
		case openinference.FP32:
			d.Floats = append(d.Floats, float64(math.Float32frombits(uint32(bits))))
		case openinference.FP64:
			d.Floats = append(d.Floats, math.Float64frombits(bits))
		default:
			d.Uints = append(d.Uints, bits)
		}
	}
	return d, nil
}

func little(raw []byte) (bits uint64) {
	for i, b := range raw {
		bits |= uint64(b) << (8 * i)
	}
	return bits
}

func texts(raw []byte) (list []string, err error) {
	const prefix = 4
	for len(raw) > 0 {
		if len(raw) < prefix {
			return nil, fmt.Errorf("the raw bytes end within the length of value %d", len(list)+1)
		}
		length := binary.LittleEndian.Uint32(raw)
		if raw = raw[prefix:]; uint64(length) > uint64(len(raw)) {
			return nil, fmt.Errorf("the raw bytes end within value %d", len(list)+1)
		}
		if !utf8.Valid(raw[:length]) {
			return nil, fmt.Errorf("value %d is no UTF-8 text", len(list)+1)
		}
		list = append(list, string(raw[:length]))
		raw = raw[length:]
	}
	return list, nil
}

// response gives an answer as it is sent.
func response(r *openinference.Response, raw bool) *pb.ModelInferResponse {
	out := &pb.ModelInferResponse{ModelName: r.ModelName, ModelVersion: r.ModelVersion, Id: r.ID}
	for i := range r.Outputs {
		t := &r.Outputs[i]
		sent := &pb.ModelInferResponse_InferOutputTensor{Name: t.Name, Datatype: string(t.Datatype), Shape: t.Shape}
		for name, value := range t.Parameters {
			if text, is := value.(string); is {
				if sent.Parameters == nil {
					sent.Parameters = map[string]*pb.InferParameter{}
				}
				sent.Parameters[name] = &pb.InferParameter{ParameterChoice: &pb.InferParameter_StringParam{StringParam: text}}
			}
		}
		if raw || t.Datatype == openinference.FP16 {
			out.RawOutputContents = append(out.RawOutputContents, encode(t))
		} else {
			sent.Contents = listed(t)
		}
		out.Outputs = append(out.Outputs, sent)
	}
	return out
}

// listed gives values in the list that is for the datatype.
func listed(t *openinference.Tensor) *pb.InferTensorContents {
	d := &t.Data
	c := &pb.InferTensorContents{BoolContents: d.Bools}
	switch t.Datatype {
	case openinference.Int64:
		c.Int64Contents = d.Ints
	case openinference.Uint64:
		c.Uint64Contents = d.Uints
	case openinference.FP64:
		c.Fp64Contents = d.Floats
	case openinference.FP32:
		c.Fp32Contents = widened[float32](d.Floats)
	default:
		c.IntContents, c.UintContents = widened[int32](d.Ints), widened[uint32](d.Uints)
	}
	for _, text := range d.Texts {
		c.BytesContents = append(c.BytesContents, []byte(text))
	}
	return c
}

// encode is decode the other way.
func encode(t *openinference.Tensor) []byte {
	out := []byte{}
	size := t.Datatype.Size()
	add := func(bits uint64) {
		for i := range size {
			out = append(out, byte(bits>>(8*i)))
		}
	}
	for _, v := range t.Data.Bools {
		bit := uint64(0)
		if v {
			bit = 1
		}
		add(bit)
	}
	for _, v := range t.Data.Ints {
		add(uint64(v))
	}
	for _, v := range t.Data.Uints {
		add(v)
	}
	for _, v := range t.Data.Floats {
		switch t.Datatype {
		case openinference.FP16:
			add(uint64(toHalf(v)))
		case openinference.FP32:
			add(uint64(math.Float32bits(float32(v))))
		default:
			add(math.Float64bits(v))
		}
	}
	for _, v := range t.Data.Texts {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(v)))
		out = append(out, v...)
	}
	return out
}

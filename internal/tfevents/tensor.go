package tfevents

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxFill is the most elements that a tensor gets by repeating its last value,
// as the format allows: a few bytes must not become gigabytes.
const maxFill = 1 << 20

// dtype is the type of a tensor's elements.
type dtype = uint64

// element says how a type of numbers is stored.
type element struct {
	size  int                       // in the packed content
	read  func(raw []byte) float64  // from the packed content
	field protowire.Number          // of the list of single values
	value func(bits uint64) float64 // from a single value
	wire  protowire.Type            // of a single value
}

// elements are the types of numbers that are read.
var elements = map[dtype]element{
	typeFloat:  {4, func(b []byte) float64 { return float(uint64(u32(b))) }, 5, float, protowire.Fixed32Type},
	typeDouble: {8, func(b []byte) float64 { return math.Float64frombits(u64(b)) }, 6, math.Float64frombits, protowire.Fixed64Type},
	3:          {4, func(b []byte) float64 { return float64(int32(u32(b))) }, 7, int32Value, protowire.VarintType},  // int32
	4:          {1, func(b []byte) float64 { return float64(b[0]) }, 7, int32Value, protowire.VarintType},           // uint8
	5:          {2, func(b []byte) float64 { return float64(int16(u16(b))) }, 7, int32Value, protowire.VarintType},  // int16
	6:          {1, func(b []byte) float64 { return float64(int8(b[0])) }, 7, int32Value, protowire.VarintType},     // int8
	9:          {8, func(b []byte) float64 { return float64(int64(u64(b))) }, 10, int64Value, protowire.VarintType}, // int64
	10:         {1, func(b []byte) float64 { return float64(b[0]) }, 11, uint64Value, protowire.VarintType},         // bool
	14:         {2, func(b []byte) float64 { return bfloat16(uint64(u16(b))) }, 13, bfloat16, protowire.VarintType}, // bfloat16
	17:         {2, func(b []byte) float64 { return float64(u16(b)) }, 7, int32Value, protowire.VarintType},         // uint16
	19:         {2, func(b []byte) float64 { return float16(uint64(u16(b))) }, 13, float16, protowire.VarintType},   // half
	22:         {4, func(b []byte) float64 { return float64(u32(b)) }, 16, uint64Value, protowire.VarintType},       // uint32
	23:         {8, func(b []byte) float64 { return float64(u64(b)) }, 17, uint64Value, protowire.VarintType},       // uint64
}

func u16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }
func u32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
func u64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

func float(bits uint64) float64       { return float64(math.Float32frombits(uint32(bits))) }
func int32Value(bits uint64) float64  { return float64(int32(bits)) }
func int64Value(bits uint64) float64  { return float64(int64(bits)) }
func uint64Value(bits uint64) float64 { return float64(bits) }
func bfloat16(bits uint64) float64    { return float(bits & 0xffff << 16) }

// float16 gives the value of an IEEE 754 half.
func float16(bits uint64) float64 {
	const fractionBits, bias = 10, 15
	exponent, fraction := int(bits>>fractionBits&31), float64(bits&(1<<fractionBits-1))
	var v float64
	switch exponent {
	case 0:
		v = math.Ldexp(fraction, 1-bias-fractionBits)
	case 31:
		if v = math.Inf(1); fraction != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(fraction+1<<fractionBits, exponent-bias-fractionBits)
	}
	if bits>>15&1 == 1 {
		return -v
	}
	return v
}

// rawTensor is a tensor whose type may not be known yet: fields come in any
// order.
type rawTensor struct {
	Tensor
	typ     dtype
	content []byte
	values  []field // the lists of single values
}

// parseTensor reads a tensor of numbers or texts; a tensor of anything else has
// neither.
func parseTensor(data []byte) (any, error) {
	var t rawTensor
	err := fields(data, func(f field) error {
		switch {
		case f.is(tensorType, protowire.VarintType):
			t.typ = f.bits
		case f.is(tensorShape, protowire.BytesType):
			return t.parseShape(f.data)
		case f.is(tensorContent, protowire.BytesType):
			t.content = f.data
		case f.is(tensorStrings, protowire.BytesType):
			t.Texts = append(t.Texts, f.data)
		default:
			t.values = append(t.values, f)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e, number := elements[t.typ]
	switch {
	case number:
		t.Texts = nil
		t.Double = e.size > 4 || t.typ == 3 || t.typ == 22
		err = t.parseNumbers(e)
	case t.typ == typeString:
		t.Texts, err = fill(t.Texts, t.Shape)
	default:
		return nil, nil //nolint:nilnil // a kind of data that nobody here knows
	}
	return t.Tensor, err
}

func (t *rawTensor) parseShape(data []byte) error {
	return fields(data, func(f field) error {
		if !f.is(shapeDim, protowire.BytesType) {
			return nil
		}
		var size int64
		err := fields(f.data, func(f field) error {
			if f.is(dimSize, protowire.VarintType) {
				size = int64(f.bits)
			}
			return nil
		})
		t.Shape = append(t.Shape, size)
		return err
	})
}

func (t *rawTensor) parseNumbers(e element) (err error) {
	if len(t.content)%e.size != 0 {
		return malformed(fmt.Errorf("a tensor has %d bytes of elements of %d bytes", len(t.content), e.size))
	}
	t.Numbers = make([]float64, 0, len(t.content)/e.size)
	for content := t.content; len(content) > 0; content = content[e.size:] {
		t.Numbers = append(t.Numbers, e.read(content))
	}
	for _, f := range t.values {
		if f.num == e.field {
			if t.Numbers, err = appendNumbers(t.Numbers, f, t.typ); err != nil {
				return err
			}
		}
	}
	t.Numbers, err = fill(t.Numbers, t.Shape)
	return err
}

// appendNumbers appends the numbers of a repeated field, be it packed or one of
// many.
func appendNumbers(to []float64, f field, typ dtype) ([]float64, error) {
	e := elements[typ]
	if f.typ == e.wire {
		return append(to, e.value(f.bits)), nil
	}
	if f.typ != protowire.BytesType {
		return to, nil
	}
	for data := f.data; len(data) > 0; {
		var bits uint64
		var n int
		switch e.wire {
		case protowire.Fixed32Type:
			var short uint32
			short, n = protowire.ConsumeFixed32(data)
			bits = uint64(short)
		case protowire.Fixed64Type:
			bits, n = protowire.ConsumeFixed64(data)
		default:
			bits, n = protowire.ConsumeVarint(data)
		}
		if n < 0 {
			return nil, malformed(protowire.ParseError(n))
		}
		to, data = append(to, e.value(bits)), data[n:]
	}
	return to, nil
}

// fill checks that there are as many elements as the shape says; when there are
// fewer, but at least one, the last stands for those that are left out.
func fill[T any](values []T, shape []int64) ([]T, error) {
	size := int64(1)
	for _, n := range shape {
		if n < 0 || n > 0 && size > math.MaxInt64/n {
			return nil, malformed(fmt.Errorf("a tensor of shape %v", shape))
		}
		size *= n
	}
	have := int64(len(values))
	switch {
	case have == size:
		return values, nil
	case have == 0 || have > size || size > maxFill:
		return nil, malformed(fmt.Errorf("a tensor of shape %v has %d elements", shape, have))
	}
	for last := values[have-1]; have < size; have++ {
		values = append(values, last)
	}
	return values, nil
}

package openinference

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Datatype is the type of a tensor's values.
type Datatype string

// The datatypes of the protocol.
const (
	// Bool is true or false.
	Bool Datatype = "BOOL"
	// Bytes is text.
	Bytes Datatype = "BYTES"
	// FP16 is a floating-point number of 16 bits.
	FP16 Datatype = "FP16"
	// FP32 is one of 32 bits.
	FP32 Datatype = "FP32"
	// FP64 is one of 64 bits.
	FP64 Datatype = "FP64"
	// Int64 is a whole number of 64 bits with a sign.
	Int64 Datatype = "INT64"
	// Int32 is one of 32 bits.
	Int32 Datatype = "INT32"
)

// integers are the bits of whole numbers; those without a sign have a minus.
var integers = map[Datatype]int{"INT8": 8, "INT16": 16, Int32: 32, Int64: 64, "UINT8": -8, "UINT16": -16, "UINT32": -32, "UINT64": -64}

// floats are the largest numbers that a datatype holds.
var floats = map[Datatype]float64{FP16: 65504, FP32: math.MaxFloat32, FP64: math.MaxFloat64}

// known tells whether there is such a datatype.
func (d Datatype) known() bool {
	_, whole := integers[d]
	_, broken := floats[d]
	return whole || broken || d == Bool || d == Bytes
}

// holds tells why a JSON value is none of the datatype, nil when it is one. null is
// NaN, which JSON has no other word for.
func (d Datatype) holds(value any) error {
	fits := false
	switch d {
	case Bool:
		_, fits = value.(bool)
	case Bytes:
		_, fits = value.(string)
	default:
		if limit, is := floats[d]; is {
			fits = value == nil || isFloat(value, limit)
		} else {
			fits = isInteger(value, integers[d])
		}
	}
	if fits {
		return nil
	}
	text, err := json.Marshal(value)
	if err != nil || len(text) > 60 {
		text = []byte("a value")
	}
	return fmt.Errorf("%s is no %s", text, d)
}

func isFloat(value any, limit float64) bool {
	number, is := value.(json.Number)
	if !is {
		return false
	}
	f, err := number.Float64()
	return err == nil && math.Abs(f) <= limit
}

func isInteger(value any, bits int) bool {
	number, is := value.(json.Number)
	if !is {
		return false
	}
	var err error
	if bits < 0 {
		_, err = strconv.ParseUint(string(number), 10, -bits)
	} else {
		_, err = strconv.ParseInt(string(number), 10, bits)
	}
	return err == nil
}

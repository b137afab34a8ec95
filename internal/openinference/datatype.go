package openinference

import (
	"math"
	"strconv"
	"strings"
)

// Datatype is the type of a tensor's values.
type Datatype string

// The datatypes of the protocol.
const (
	// Bool is true or false.
	Bool Datatype = "BOOL"
	// Int8 is a whole number of 8 bits with a sign.
	Int8 Datatype = "INT8"
	// Int16 is one of 16 bits.
	Int16 Datatype = "INT16"
	// Int32 is one of 32 bits.
	Int32 Datatype = "INT32"
	// Int64 is one of 64 bits.
	Int64 Datatype = "INT64"
	// Uint8 is a whole number of 8 bits without a sign.
	Uint8 Datatype = "UINT8"
	// Uint16 is one of 16 bits.
	Uint16 Datatype = "UINT16"
	// Uint32 is one of 32 bits.
	Uint32 Datatype = "UINT32"
	// Uint64 is one of 64 bits.
	Uint64 Datatype = "UINT64"
	// FP16 is a floating-point number of 16 bits.
	FP16 Datatype = "FP16"
	// FP32 is one of 32 bits.
	FP32 Datatype = "FP32"
	// FP64 is one of 64 bits.
	FP64 Datatype = "FP64"
	// Bytes is text.
	Bytes Datatype = "BYTES"
)

// Datatypes lists all datatypes.
func Datatypes() []Datatype {
	return []Datatype{Bool, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, FP16, FP32, FP64, Bytes}
}

// class tells which slice of Data has the values of a datatype.
type class int

const (
	classNone class = iota
	classBool
	classInt
	classUint
	classFloat
	classText
)

// class gives the datatype's class, classNone when there is no such datatype.
func (d Datatype) class() class {
	switch d {
	case Bool:
		return classBool
	case Int8, Int16, Int32, Int64:
		return classInt
	case Uint8, Uint16, Uint32, Uint64:
		return classUint
	case FP16, FP32, FP64:
		return classFloat
	case Bytes:
		return classText
	}
	return classNone
}

// bits gives the size of a number.
func (d Datatype) bits() int {
	n, err := strconv.Atoi(strings.TrimLeft(string(d), "UINTFP"))
	if err != nil {
		return 0
	}
	return n
}

// largest gives the largest floating-point number of the datatype.
func (d Datatype) largest() float64 {
	const largestFP16 = 65504
	switch d {
	case FP16:
		return largestFP16
	case FP32:
		return math.MaxFloat32
	}
	return math.MaxFloat64
}

// Size gives the length of a value in raw bytes: 1 for BOOL; 0 for BYTES, whose
// values differ, and for what is no datatype.
func (d Datatype) Size() int {
	const bitsOfByte = 8
	switch d.class() {
	case classBool:
		return 1
	case classInt, classUint, classFloat:
		return d.bits() / bitsOfByte
	}
	return 0
}

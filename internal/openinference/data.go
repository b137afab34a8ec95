package openinference

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Data are the values of a tensor in row-major order. The one slice that is used
// is that of the datatype's class.
type Data struct {
	// Bools are the values of BOOL.
	Bools []bool
	// Ints are those of whole numbers with a sign.
	Ints []int64
	// Uints are those of whole numbers without.
	Uints []uint64
	// Floats are those of floating-point numbers; NaN is null in JSON.
	Floats []float64
	// Texts are those of BYTES.
	Texts []string
}

// Len gives the number of values.
func (d *Data) Len() int {
	return len(d.Bools) + len(d.Ints) + len(d.Uints) + len(d.Floats) + len(d.Texts)
}

// appendJSON appends value i.
func (d *Data) appendJSON(out []byte, datatype Datatype, i int) []byte {
	switch datatype.class() {
	case classBool:
		return strconv.AppendBool(out, d.Bools[i])
	case classInt:
		return strconv.AppendInt(out, d.Ints[i], 10)
	case classUint:
		return strconv.AppendUint(out, d.Uints[i], 10)
	case classFloat:
		return appendFloat(out, d.Floats[i], datatype)
	default:
		text, err := json.Marshal(d.Texts[i])
		if err != nil {
			panic("openinference: a text can't be encoded: " + err.Error())
		}
		return append(out, text...)
	}
}

// appendFloat appends the shortest number that gives the same value again.
func appendFloat(out []byte, f float64, datatype Datatype) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) { // JSON has no word for them
		return append(out, "null"...)
	}
	bits := 64
	if datatype != FP64 {
		bits = 32
	}
	return strconv.AppendFloat(out, f, 'g', -1, bits)
}

// add appends a value that was read from JSON: a bool, a string, nil or a number's
// text. It tells why the value is none of the datatype.
func (d *Data) add(datatype Datatype, value any) error {
	switch value := value.(type) {
	case bool:
		if datatype == Bool {
			d.Bools = append(d.Bools, value)
			return nil
		}
	case string:
		if datatype == Bytes {
			d.Texts = append(d.Texts, value)
			return nil
		}
	case json.Number:
		if d.addNumber(datatype, string(value)) {
			return nil
		}
	case nil:
		if datatype.class() == classFloat {
			d.Floats = append(d.Floats, math.NaN())
			return nil
		}
	}
	text, err := json.Marshal(value)
	if err != nil || len(text) > 60 {
		text = []byte("a value")
	}
	return fmt.Errorf("%s is no %s", text, datatype)
}

// addNumber is add for the text of a number.
func (d *Data) addNumber(datatype Datatype, text string) bool {
	switch datatype.class() {
	case classInt:
		n, err := strconv.ParseInt(text, 10, datatype.bits())
		d.Ints = append(d.Ints, n)
		return err == nil
	case classUint:
		n, err := strconv.ParseUint(text, 10, datatype.bits())
		d.Uints = append(d.Uints, n)
		return err == nil
	case classFloat:
		f, err := strconv.ParseFloat(text, 64)
		d.Floats = append(d.Floats, f)
		return err == nil && math.Abs(f) <= datatype.largest()
	}
	return false
}

// Fits tells why a value is none of the datatype, whose class it is of: it is too
// large for it.
func (d *Data) Fits(datatype Datatype) error {
	bits := datatype.bits()
	for _, n := range d.Ints {
		if unused := 64 - bits; n<<unused>>unused != n {
			return fmt.Errorf("%d is no %s", n, datatype)
		}
	}
	for _, n := range d.Uints {
		if unused := 64 - bits; n<<unused>>unused != n {
			return fmt.Errorf("%d is no %s", n, datatype)
		}
	}
	return nil
}

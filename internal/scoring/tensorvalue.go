package scoring

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/azml-go/azml/internal/openinference"
)

func floats[T float32 | float64](bits int) kind {
	k := kindOf(func(r *valueReader) (T, error) {
		word := r.Word()
		if string(word) == "null" {
			return T(math.NaN()), nil
		}
		f, err := strconv.ParseFloat(string(word), bits)
		return T(f), err
	}, func(out []byte, value T) []byte {
		if f := float64(value); math.IsNaN(f) || math.IsInf(f, 0) {
			return append(out, "null"...)
		}
		return strconv.AppendFloat(out, float64(value), 'g', -1, bits)
	}, func(n int) T { return T(n) })
	k.from = func(data openinference.Data) any { return converted[T](data.Floats) }
	k.to = func(values any) openinference.Data {
		return openinference.Data{Floats: converted[float64](values.([]T))}
	}
	return k
}

func ints[T int8 | int16 | int32 | int64](bits int) kind {
	k := kindOf(func(r *valueReader) (T, error) {
		word := r.Word()
		n, err := strconv.ParseInt(string(word), 10, bits)
		if err != nil {
			n, err = wholeFloat(word, bits)
		}
		return T(n), err
	}, func(out []byte, value T) []byte { return strconv.AppendInt(out, int64(value), 10) }, func(n int) T { return T(n) })
	k.from = func(data openinference.Data) any { return converted[T](data.Ints) }
	k.to = func(values any) openinference.Data {
		return openinference.Data{Ints: converted[int64](values.([]T))}
	}
	return k
}

func uints[T uint8 | uint16 | uint32 | uint64](bits int) kind {
	k := kindOf(func(r *valueReader) (T, error) {
		word := r.Word()
		n, err := strconv.ParseUint(string(word), 10, bits)
		if err != nil {
			var whole int64
			if whole, err = wholeFloat(word, bits+1); whole < 0 {
				err = errValue
			}
			n = uint64(whole)
		}
		return T(n), err
	}, func(out []byte, value T) []byte { return strconv.AppendUint(out, uint64(value), 10) }, func(n int) T { return T(n) })
	k.from = func(data openinference.Data) any { return converted[T](data.Uints) }
	k.to = func(values any) openinference.Data {
		return openinference.Data{Uints: converted[uint64](values.([]T))}
	}
	return k
}

func bools() kind {
	k := kindOf(func(r *valueReader) (bool, error) {
		switch string(r.Word()) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, errValue
	}, strconv.AppendBool, func(n int) bool { return n != 0 })
	k.from = func(data openinference.Data) any { return data.Bools }
	k.to = func(values any) openinference.Data { return openinference.Data{Bools: values.([]bool)} }
	return k
}

func texts() kind {
	k := kindOf(func(r *valueReader) (text string, err error) {
		word := r.Word()
		if word[0] != '"' || json.Unmarshal(word, &text) != nil {
			return "", errValue
		}
		return text, nil
	}, func(out []byte, value string) []byte {
		text, err := json.Marshal(value)
		if err != nil {
			panic("scoring: a text can't be encoded: " + err.Error())
		}
		return append(out, text...)
	}, strconv.Itoa)
	k.from = func(data openinference.Data) any { return data.Texts }
	k.to = func(values any) openinference.Data { return openinference.Data{Texts: values.([]string)} }
	return k
}

// number is a Go type of numbers.
type number interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64
}

// converted gives numbers, which fit, as another type's.
func converted[To, From number](numbers []From) []To {
	if same, is := any(numbers).([]To); is {
		return same
	}
	out := make([]To, len(numbers))
	for i, n := range numbers {
		out[i] = To(n)
	}
	return out
}

// wholeFloat reads a whole number that is written with a fraction or an exponent,
// as 7.0 is.
func wholeFloat(word []byte, bits int) (int64, error) {
	const exact = 53 // bits of a whole number in a float64
	f, err := strconv.ParseFloat(string(word), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= math.Pow(2, float64(min(bits-1, exact))) {
		return 0, errValue
	}
	return int64(f), nil
}

var errValue = fmt.Errorf("it is no such value")

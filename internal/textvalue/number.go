// Package textvalue reads the values of columns that are written as text, and
// tells from some of them which type a column has.
package textvalue

import (
	"bytes"
	"math"
	"strconv"
	"unsafe"
)

// Int reads a whole number such as "-12". Spaces around it are passed over.
func Int(text []byte) (int64, bool) {
	text = bytes.TrimSpace(text)
	n, err := strconv.ParseInt(str(text), 10, 64)
	return n, err == nil
}

// Float reads a number such as "-1.5e3", "NaN" or "inf". One too great for a
// float64 is infinite. Spaces around it are passed over.
func Float(text []byte) (float64, bool) {
	text = bytes.TrimSpace(text)
	if !isNumber(text) {
		return word(text)
	}
	v, err := strconv.ParseFloat(str(text), 64)
	return v, err == nil || math.IsInf(v, 0)
}

// isNumber tells whether the text has no other characters than decimal numbers;
// strconv takes hexadecimal ones and underscores, too.
func isNumber(text []byte) bool {
	for _, c := range text {
		if c-'0' > 9 && c != '.' && c != '-' && c != '+' && c|0x20 != 'e' {
			return false
		}
	}
	return len(text) > 0
}

// word reads the words for what is no number and for infinity.
func word(text []byte) (float64, bool) {
	sign, rest := 1, text
	if len(rest) > 0 && (rest[0] == '-' || rest[0] == '+') {
		if rest[0] == '-' {
			sign = -1
		}
		rest = rest[1:]
	}
	switch {
	case bytes.EqualFold(rest, []byte("nan")):
		return math.NaN(), true
	case bytes.EqualFold(rest, []byte("inf")), bytes.EqualFold(rest, []byte("infinity")):
		return math.Inf(sign), true
	}
	return 0, false
}

// Bool reads "true" or "false" in any case. Spaces around it are passed over.
func Bool(text []byte) (value, ok bool) {
	switch string(text) { // as most write it
	case "true", "True":
		return true, true
	case "false", "False":
		return false, true
	}
	text = bytes.TrimSpace(text)
	switch {
	case bytes.EqualFold(text, []byte("true")):
		return true, true
	case bytes.EqualFold(text, []byte("false")):
		return false, true
	}
	return false, false
}

// str gives the text as a string without a copy. It must not be kept, and the
// text not change as long as it is used.
func str(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }

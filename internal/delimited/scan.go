package delimited

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The words by which eight bytes are compared at once.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// scanner finds the ends of fields in a block.
type scanner struct {
	data []byte // ends with a line break, with padding in its capacity
	sep  byte
	seps uint64 // sep, eight times
}

func newScanner(data []byte, sep byte) scanner {
	return scanner{data, sep, ones * uint64(sep)}
}

// zeros has the high bit set of the lowest byte of x that is zero, and of none
// below it.
func zeros(x uint64) uint64 { return (x - ones) &^ x & highs }

// stop gives the place of the first separator, line break or quote from pos on.
func (s *scanner) stop(pos int) int {
	data := s.data[:cap(s.data)]
	for pos+8 <= len(data) {
		x := binary.LittleEndian.Uint64(data[pos:])
		found := zeros(x^s.seps) | zeros(x^(ones*'\n')) | zeros(x^(ones*'"'))
		if found != 0 {
			return pos + bits.TrailingZeros64(found)/8
		}
		pos += 8
	}
	return pos // not reached: data ends with a line break before the padding
}

// end gives the place of the separator or line feed that ends a field at pos;
// it is not ok when the field goes on there.
func (s *scanner) end(pos int) (next int, ok bool) {
	c := s.data[pos]
	if c == '\r' && s.data[pos+1] == '\n' {
		return pos + 1, true
	}
	return pos, c == s.sep || c == '\n'
}

// int reads digits up to the end of the field, which is next. It is not ok for
// anything else, which is then read the long way.
func (s *scanner) int(pos int) (value int64, next int, ok bool) {
	data := s.data
	negative := false
	if data[pos] == '-' {
		negative = true
		pos++
	}
	begin := pos
	for {
		d := data[pos] - '0'
		if d > 9 {
			break
		}
		value = value*10 + int64(d)
		pos++
	}
	if n := pos - begin; n == 0 || n > 18 {
		return 0, 0, false
	}
	if negative {
		value = -value
	}
	next, ok = s.end(pos)
	return value, next, ok
}

// tens are the powers of ten that a float64 holds exactly.
var tens = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// wholeTens are those that a uint64 holds.
var wholeTens = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// quotient gives the float64 that is nearest to n/d, of which none is 0. Of the
// whole quotient there are 62 bits or more, and one that says whether there is a
// rest, so rounding to 53 bits is right.
func quotient(n, d uint64) float64 {
	zerosN, zerosD := bits.LeadingZeros64(n), bits.LeadingZeros64(d)
	n, d = n<<zerosN, d<<zerosD
	q, rest := bits.Div64(n>>1, n<<63, d)
	if rest != 0 {
		q |= 1
	}
	return float64(q) * math.Float64frombits(uint64(1023-63+zerosD-zerosN)<<52) //nolint:gosec // a power of two from -126 to 0
}

// eightDigits reads eight digits at once, first two by two, then four by four.
func eightDigits(x uint64) (value uint64, all bool) {
	const highHalves = 0xf0f0f0f0f0f0f0f0
	if x&highHalves|(x+0x0606060606060606)&highHalves>>4 != 0x3333333333333333 {
		return 0, false
	}
	x = x & 0x0f0f0f0f0f0f0f0f * (10<<8 + 1) >> 8
	x = x & 0x00ff00ff00ff00ff * (100<<16 + 1) >> 16
	return x & 0x0000ffff0000ffff * (10_000<<32 + 1) >> 32, true
}

// float reads a decimal fraction without exponent up to the end of the field,
// which is next. It is ok only when its digits fit a float64 exactly, for then one
// division rounds as it should, or a uint64; anything else is read the long way.
func (s *scanner) float(pos int) (value float64, next int, ok bool) {
	data := s.data
	negative := false
	if data[pos] == '-' {
		negative = true
		pos++
	}
	begin := pos
	digits := uint64(0)
	for {
		d := data[pos] - '0'
		if d > 9 {
			break
		}
		digits = digits*10 + uint64(d)
		pos++
	}
	n, places := pos-begin, 0
	if data[pos] == '.' {
		pos++
		begin = pos
		for padded := data[:cap(data)]; pos+8 <= len(padded); pos += 8 {
			v, all := eightDigits(binary.LittleEndian.Uint64(padded[pos:]))
			if !all {
				break
			}
			digits = digits*1e8 + v
		}
		for {
			d := data[pos] - '0'
			if d > 9 {
				break
			}
			digits = digits*10 + uint64(d)
			pos++
		}
		places = pos - begin
	}
	switch n += places; {
	case n == 0 || n > 19:
		return 0, 0, false
	case digits <= 1<<53:
		value = float64(digits) / tens[places]
	default:
		value = quotient(digits, wholeTens[places])
	}
	if negative {
		value = -value
	}
	next, ok = s.end(pos)
	return value, next, ok
}

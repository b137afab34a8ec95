package metrics

import (
	"encoding/binary"
	"math"
)

// The ways in which a column of floats is stored. All keep every bit.
const (
	floatsRaw     = 0 // 8 bytes each
	floatsSingle  = 1 // 4 bytes each, as float32, when that loses nothing
	floatsDecimal = 2 // a byte e and the differences of whole numbers n, each float being n / 10^e
)

// maxDecimals keeps 10^e, and so the division, exact.
const maxDecimals = 15

var powersOfTen = [maxDecimals + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// appendFloats writes a column of floats, given as their bits, in the shortest
// way. Its length is not stored.
func appendFloats(dst []byte, bits []uint64) []byte {
	size := 8 * len(bits)
	single := allSingle(bits)
	if single {
		size = 4 * len(bits)
	}
	if numbers, e, ok := decimals(bits); ok {
		start := len(dst)
		dst = append(dst, floatsDecimal, byte(e))
		dst = appendDeltas(dst, numbers)
		if len(dst)-start <= size {
			return dst
		}
		dst = dst[:start]
	}
	if single {
		dst = append(dst, floatsSingle)
		for _, b := range bits {
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(math.Float64frombits(b))))
		}
		return dst
	}
	dst = append(dst, floatsRaw)
	for _, b := range bits {
		dst = binary.LittleEndian.AppendUint64(dst, b)
	}
	return dst
}

func allSingle(bits []uint64) bool {
	for _, b := range bits {
		f := math.Float64frombits(b)
		if math.Float64bits(float64(float32(f))) != b || f != f {
			return false
		}
	}
	return true
}

// decimals gives the floats as whole numbers over one power of ten, false when
// they are none.
func decimals(bits []uint64) (numbers []int64, e int, ok bool) {
	for _, b := range bits {
		for ; ; e++ {
			if e > maxDecimals {
				return nil, 0, false
			}
			if _, ok := decimal(b, e); ok {
				break
			}
		}
	}
	numbers = make([]int64, len(bits))
	for i, b := range bits {
		// A number with few decimals may lose its exactness with more.
		if numbers[i], ok = decimal(b, e); !ok {
			return nil, 0, false
		}
	}
	return numbers, e, true
}

func decimal(bits uint64, e int) (int64, bool) {
	n := math.Round(math.Float64frombits(bits) * powersOfTen[e])
	if !(math.Abs(n) < 1<<53) {
		return 0, false
	}
	return int64(n), math.Float64bits(float64(int64(n))/powersOfTen[e]) == bits
}

// floats fills a column that appendFloats wrote.
func (p *parser) floats(bits []uint64) {
	switch p.byte() {
	case floatsRaw:
		for i := range bits {
			bits[i] = p.uint64()
		}
	case floatsSingle:
		for i := range bits {
			bits[i] = math.Float64bits(float64(math.Float32frombits(p.uint32())))
		}
	case floatsDecimal:
		e := p.byte()
		if e > maxDecimals {
			p.bad = true
			return
		}
		numbers := make([]int64, len(bits))
		p.deltas(numbers)
		for i, n := range numbers {
			bits[i] = math.Float64bits(float64(n) / powersOfTen[e])
		}
	default:
		p.bad = true
	}
}

package inferencegrpc

import "math"

// The parts of a floating-point number of 16 bits (IEEE 754 binary16).
const (
	halfFraction = 10
	halfBias     = 15
	halfInfinite = 0x7c00
)

// fromHalf gives the value of a number of 16 bits.
func fromHalf(bits uint16) float64 {
	sign, exponent, fraction := 1.0, int(bits>>halfFraction&0x1f), float64(bits&0x3ff)
	if bits>>15 == 1 {
		sign = -1
	}
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, 1-halfBias-halfFraction)
	case 0x1f:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(fraction+1<<halfFraction, exponent-halfBias-halfFraction)
}

// toHalf gives the nearest number of 16 bits, of two the even one.
func toHalf(value float64) uint16 {
	sign := uint16(math.Float64bits(value) >> 63 << 15)
	size := math.Abs(value)
	switch {
	case math.IsNaN(value):
		return sign | halfInfinite | 1<<(halfFraction-1)
	case size >= 65520: // nearer to infinity than to the largest
		return sign | halfInfinite
	case size < math.Ldexp(1, 1-halfBias): // subnormal
		return sign | uint16(math.RoundToEven(math.Ldexp(size, halfBias-1+halfFraction)))
	}
	fraction, exponent := math.Frexp(size) // size is fraction * 2^exponent, from ½ to 1
	rounded := math.RoundToEven(math.Ldexp(fraction, halfFraction+1))
	// A fraction that is rounded up to the next power of two carries into the exponent.
	return sign | uint16(int(rounded)+(exponent-2+halfBias)<<halfFraction)
}

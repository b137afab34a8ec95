package inferencegrpc

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every number of 16 bits is the same after both ways, and what lies between two
// becomes the nearer one.
func TestHalves(t *testing.T) {
	t.Parallel()
	for bits := range 1 << 16 {
		half := uint16(bits)
		value := fromHalf(half)
		if math.IsNaN(value) {
			require.True(t, math.IsNaN(fromHalf(toHalf(value))))
			continue
		}
		require.Equal(t, half, toHalf(value), "%#x is %v", half, value)
		if next := fromHalf(half + 1); half&0x7fff < halfInfinite-1 {
			require.Equal(t, half, toHalf(value+(next-value)*0.49))
			require.Equal(t, half+1, toHalf(value+(next-value)*0.51))
			require.Equal(t, half+half&1, toHalf(value+(next-value)/2), "the even one of two")
		}
	}
	require.Equal(t, uint16(halfInfinite), toHalf(65520))
	require.Equal(t, uint16(halfInfinite-1), toHalf(65519.9))
}

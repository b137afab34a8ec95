package delimited

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNumbers compares the numbers that are read in one pass with strconv's.
func TestNumbers(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	fast := 0
	for range 200_000 {
		v := math.Float64frombits(r.Uint64())
		switch r.IntN(3) {
		case 0:
			v = r.Float64()
		case 1:
			v = math.Trunc(r.NormFloat64()*1e6) / 1e3
		}
		text := strconv.FormatFloat(v, 'f', r.IntN(20)-1, 64)
		if r.IntN(2) == 0 { // more digits than a float64 holds, also those half between two
			n := r.Uint64N(9_999_999_999_999_999_999) >> r.IntN(12)
			if r.IntN(2) == 0 {
				n = n>>11<<11 | 1<<10 | n&1
			}
			text = strconv.FormatUint(n, 10)
			if at := r.IntN(len(text)); at > 0 {
				text = text[:at] + "." + text[at:]
			}
		}
		s := newScanner(append([]byte(text), "\n\x00\x00\x00\x00\x00\x00\x00\x00"...)[:len(text)+1], ',')
		if got, next, ok := s.float(0); ok {
			fast++
			want, err := strconv.ParseFloat(text, 64)
			require.NoError(t, err)
			require.Equal(t, math.Float64bits(want), math.Float64bits(got), text)
			require.Equal(t, len(text), next)
		}
		if got, _, ok := s.int(0); ok {
			want, err := strconv.ParseInt(text, 10, 64)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
	require.Greater(t, fast, 1000)
}

//go:build !boringcrypto

package sha256many

import (
	"crypto/fips140"
	"testing"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"
)

// TestWhatTheProcessorCan says whether digests are computed at once where they can be:
// without, all else here would pass, and nothing be gained.
func TestWhatTheProcessorCan(t *testing.T) {
	t.Parallel()
	want := 1
	if cpuid.CPU.Supports(cpuid.SHA, cpuid.SSSE3) && !fips140.Enabled() {
		want = 2
		if cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW) {
			want = 16
		}
	}
	require.Equal(t, want, Width())
}

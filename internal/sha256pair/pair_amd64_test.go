//go:build !boringcrypto

package sha256pair

import (
	"crypto/fips140"
	"testing"

	"github.com/klauspost/cpuid/v2"
	"github.com/stretchr/testify/require"
)

// TestOneProcessorTwoDigests says whether they are computed at once where they can
// be: without, all else here would pass, and nothing be gained.
func TestOneProcessorTwoDigests(t *testing.T) {
	t.Parallel()
	require.Equal(t, cpuid.CPU.Supports(cpuid.SHA, cpuid.SSSE3) && !fips140.Enabled(), enabled())
}

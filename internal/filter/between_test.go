package filter

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBetween compares with the matching of the whole text.
func TestBetween(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	draw := func(from string, most int) string {
		letters := []rune(from)
		out := make([]rune, random.IntN(most+1))
		for i := range out {
			out[i] = letters[random.IntN(len(letters))]
		}
		return string(out)
	}
	found := 0
	for range 100_000 {
		before, text, after := draw("abÉ", 3), draw("abé", 3), draw("aBé", 3)
		pattern := draw("abBéÉ%_", 6)
		for fold, like := range map[bool]func(string, string) bool{false: Like, true: ILike} {
			want := like(pattern, before+text+after)
			got := false
			for _, inner := range Between(pattern, before, after, fold) {
				got = got || like(inner, text)
			}
			require.Equal(t, want, got, "%q between %q and %q by %q: %q", text, before, after, pattern, Between(pattern, before, after, fold))
			if want {
				found++
			}
		}
	}
	require.Greater(t, found, 1000)
	require.Equal(t, []string{"%"}, Between("s3://bucket/%", "s3://bucket/e/", "/artifacts", false))
	require.Empty(t, Between("s3://other/%", "s3://bucket/e/", "/artifacts", false))
	require.Equal(t, []string{"%/ab%", "ab%"}, Between("%/ab%/artifacts", "x/", "/artifacts", false))
}

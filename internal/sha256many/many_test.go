package sha256many

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// check writes parts to as many digests, which begin with so many bytes, twice, and
// compares them with those of crypto/sha256.
func check(t testing.TB, begun []int, parts ...[]byte) {
	t.Helper()
	var sums, want []hash.Hash
	for i, n := range begun {
		sums, want = append(sums, sha256.New()), append(want, sha256.New())
		first := noise(uint64(i), n)
		_, _ = sums[i].Write(first)
		_, _ = want[i].Write(first)
	}
	for range 2 {
		Write(sums, parts)
		for i, part := range parts {
			_, _ = want[i].Write(part)
		}
	}
	for i := range sums {
		require.Equal(t, want[i].Sum(nil), sums[i].Sum(nil), "%d of %d", i, len(sums))
		_, _ = sums[i].Write([]byte("more"))
		_, _ = want[i].Write([]byte("more"))
		require.Equal(t, want[i].Sum(nil), sums[i].Sum(nil), "it goes on as any hash")
	}
}

func noise(seed uint64, n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(data)
	return data
}

// TestSameDigests writes to two digests what is short, long, cut anywhere and unequal.
func TestSameDigests(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 55, 56, 63, 64, 65, least - 1, least, least + 1, least + 63, least + 64, 2*least + 1, 70_001}
	data := noise(1, 2*sizes[len(sizes)-1])
	for _, n := range sizes {
		for _, m := range sizes {
			check(t, []int{0, 0}, data[:n], data[m:2*m])
			check(t, []int{1, 63}, data[:n], data[m:2*m])
		}
	}
	check(t, []int{0, 0}, data, data) // the same bytes to both
}

// TestManyDigests writes to up to forty digests: fewer than a kernel takes, as many, and
// more, each at another place of a block and from another place of memory.
func TestManyDigests(t *testing.T) {
	t.Parallel()
	data := noise(2, 300_000)
	for n := range 41 {
		begun, parts := []int{}, [][]byte{}
		for i := range n {
			begun = append(begun, i*7%130)
			parts = append(parts, data[i*31:i*31+least*(1+n%5*7)+i*i])
		}
		check(t, begun, parts...)
	}
	many := make([][]byte, 16)
	for i := range many {
		many[i] = data[i : 200_000+i] // more than a kernel is asked for at once
	}
	check(t, make([]int, 16), many...)
}

// TestOtherHashes writes to hashes of other kinds, too.
func TestOtherHashes(t *testing.T) {
	t.Parallel()
	data := noise(2, 3*least)
	kinds := []func() hash.Hash{sha256.New224, sha512.New, func() hash.Hash { return onlyHash{sha256.New()} }, sha256.New}
	for _, n := range []int{2, 3, 16, 20} {
		var sums []hash.Hash
		var parts [][]byte
		for i := range n {
			sums, parts = append(sums, kinds[i%len(kinds)]()), append(parts, data)
		}
		Write(sums, parts)
		for i, sum := range sums {
			want := kinds[i%len(kinds)]()
			_, _ = want.Write(data)
			require.Equal(t, want.Sum(nil), sum.Sum(nil), i)
		}
	}
}

// onlyHash is a hash whose state can't be had.
type onlyHash struct{ hash.Hash }

func FuzzWrite(f *testing.F) {
	f.Add(uint64(1), uint8(2), uint(5000), uint(3))
	f.Add(uint64(2), uint8(16), uint(64), uint(100))
	f.Add(uint64(3), uint8(17), uint(70_000), uint(64))
	f.Fuzz(func(t *testing.T, seed uint64, n uint8, size, begun uint) {
		random := rand.New(rand.NewPCG(seed, 1))
		firsts, parts := []int{}, [][]byte{}
		for i := range int(n % 40) {
			firsts = append(firsts, int((begun+uint(i)*random.Uint())%200))
			parts = append(parts, noise(seed+uint64(i), int(size%(1<<17))+random.IntN(500)))
		}
		check(t, firsts, parts...)
	})
}

// BenchmarkWrite is so many digests at once; one at a time is its floor.
func BenchmarkWrite(b *testing.B) {
	for _, n := range []int{1, 2, 8, 9, 12, 16} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			sums, parts := make([]hash.Hash, n), make([][]byte, n)
			for i := range parts {
				parts[i] = noise(uint64(i), 1<<20)
			}
			b.SetBytes(int64(n) << 20)
			for b.Loop() {
				for i := range sums {
					sums[i] = sha256.New()
				}
				Write(sums, parts)
			}
		})
	}
}

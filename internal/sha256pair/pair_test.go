package sha256pair

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// parts is how the bytes of a digest come.
type parts [][]byte

// check writes the parts of both side by side, as many as both have, and compares
// the digests with those of crypto/sha256.
func check(t testing.TB, p, q parts) {
	t.Helper()
	a, b, wantA, wantB := sha256.New(), sha256.New(), sha256.New(), sha256.New()
	for i := range min(len(p), len(q)) {
		Write(a, b, p[i], q[i])
		_, _ = wantA.Write(p[i])
		_, _ = wantB.Write(q[i])
	}
	require.Equal(t, wantA.Sum(nil), a.Sum(nil))
	require.Equal(t, wantB.Sum(nil), b.Sum(nil))
	_, _ = a.Write([]byte("more"))
	_, _ = wantA.Write([]byte("more"))
	require.Equal(t, wantA.Sum(nil), a.Sum(nil), "it goes on as any hash")
}

func noise(seed uint64, n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(data)
	return data
}

// TestSameDigests writes to both what is short, long, cut anywhere and unequal.
func TestSameDigests(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 55, 56, 63, 64, 65, least - 1, least, least + 1, least + 63, least + 64, 2*least + 1, 70_001}
	data := noise(1, 2*sizes[len(sizes)-1])
	for _, n := range sizes {
		for _, m := range sizes {
			check(t, parts{data[:n]}, parts{data[m : 2*m]})
			check(t, parts{data[:1], data[1 : n+1]}, parts{data[:63], data[m : 2*m]})
			check(t, parts{data[:n], data[:m], data[:n]}, parts{data[:m], data[:n], data[:least+7]})
		}
	}
	check(t, parts{data}, parts{data}) // the same bytes to both
}

// TestOtherHashes writes to hashes of other kinds, one after the other.
func TestOtherHashes(t *testing.T) {
	t.Parallel()
	data := noise(2, 3*least)
	for _, c := range []struct{ a, b hash.Hash }{
		{sha256.New224(), sha256.New()}, {sha512.New(), sha256.New()}, {onlyHash{sha256.New()}, sha256.New()}, {sha256.New(), onlyHash{sha256.New()}},
	} {
		c.a.Reset()
		c.b.Reset()
		Write(c.a, c.b, data, data)
		a, b := c.a.Sum(nil), c.b.Sum(nil)
		c.a.Reset()
		c.b.Reset()
		_, _ = c.a.Write(data)
		_, _ = c.b.Write(data)
		require.Equal(t, c.a.Sum(nil), a)
		require.Equal(t, c.b.Sum(nil), b)
	}
}

// onlyHash is a hash whose state can't be had.
type onlyHash struct{ hash.Hash }

func FuzzWrite(f *testing.F) {
	f.Add(uint64(1), uint(5000), uint(9000), uint(3), uint(100))
	f.Add(uint64(2), uint(64), uint(128), uint(0), uint(64))
	f.Fuzz(func(t *testing.T, seed uint64, n, m, cutN, cutM uint) {
		p, q := noise(seed, int(n%(1<<18))), noise(seed+1, int(m%(1<<18)))
		i, j := int(cutN%uint(len(p)+1)), int(cutM%uint(len(q)+1))
		check(t, parts{p[:i], p[i:]}, parts{q[:j], q[j:]})
	})
}

// BenchmarkWrite is two digests at once; BenchmarkOneByOne its floor.
func BenchmarkWrite(b *testing.B) {
	data := noise(3, 1<<20)
	b.SetBytes(2 << 20)
	for b.Loop() {
		Write(sha256.New(), sha256.New(), data, data)
	}
}

func BenchmarkOneByOne(b *testing.B) {
	data := noise(3, 1<<20)
	b.SetBytes(2 << 20)
	for b.Loop() {
		_, _ = sha256.New().Write(data)
		_, _ = sha256.New().Write(data)
	}
}

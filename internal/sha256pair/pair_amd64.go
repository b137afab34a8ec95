//go:build !boringcrypto

package sha256pair

import (
	"bytes"
	"crypto/fips140"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
	"math"
	"sync"

	"github.com/klauspost/cpuid/v2"
)

// enabled tells whether digests are computed at once: the processor can, no
// certified module is asked for, and crypto/sha256 still keeps its state as it did
// when this was written, which trying shows.
var enabled = sync.OnceValue(func() bool {
	if fips140.Enabled() || !cpuid.CPU.Supports(cpuid.SHA, cpuid.SSSE3) {
		return false
	}
	setConstants()
	p, q := bytes.Repeat([]byte("p"), least+1), bytes.Repeat([]byte("q"), least+100)
	a, b := sha256.New(), sha256.New()
	_, _ = b.Write(q[:1])
	restP, restQ := common(a, b, p, q[1:])
	_, _ = a.Write(restP)
	_, _ = b.Write(restQ)
	sumP, sumQ := sha256.Sum256(p), sha256.Sum256(q)
	return len(restP) < sha256.BlockSize && bytes.Equal(a.Sum(nil), sumP[:]) && bytes.Equal(b.Sum(nil), sumQ[:])
})

// common writes as many whole blocks as there are of both, and gives what is left.
func common(a, b hash.Hash, p, q []byte) (restP, restQ []byte) {
	first, second := newLane(a, p), newLane(b, q)
	n := min(len(first.rest), len(second.rest)) / sha256.BlockSize
	if first.ok && second.ok && n > 0 {
		blocks(&first.state, &second.state, &first.rest[0], &second.rest[0], n)
		first.advance(n)
		second.advance(n)
	}
	return first.rest, second.rest
}

// lane is one of the two digests.
type lane struct {
	hash  resumable
	saved []byte // as marshaled, at the beginning of a block
	state state
	rest  []byte // what is still to be written
	ok    bool
}

// resumable is what the hashes of crypto/sha256 are.
type resumable interface {
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

// How crypto/sha256 marshals a hash: what it is, the eight words of its state, the
// block that is not whole yet, and how many bytes were written.
const (
	magic     = "sha\x03"
	savedSize = len(magic) + sha256.Size + sha256.BlockSize + 8
)

// state is a digest's eight words in the order in which the instructions take them.
type state [8]uint32

// order tells which word of the standard's, A to H, is in each place of a state.
var order = [len(state{})]int{5, 4, 1, 0, 7, 6, 3, 2}

// newLane writes what is missing of a block that was begun, and takes the state out.
func newLane(h hash.Hash, data []byte) *lane {
	l := &lane{rest: data}
	if l.hash, l.ok = h.(resumable); !l.ok || !l.save() {
		return l
	}
	if begun := int(l.written() % sha256.BlockSize); begun > 0 {
		n := min(sha256.BlockSize-begun, len(data))
		_, _ = h.Write(data[:n])
		l.rest = data[n:]
		l.save()
	}
	for place, word := range order {
		l.state[place] = binary.BigEndian.Uint32(l.saved[len(magic)+4*word:])
	}
	return l
}

func (l *lane) save() bool {
	saved, err := l.hash.AppendBinary(l.saved[:0])
	l.saved = saved
	l.ok = err == nil && len(saved) == savedSize && string(saved[:len(magic)]) == magic
	return l.ok
}

// written is how many bytes the hash has.
func (l *lane) written() uint64 { return binary.BigEndian.Uint64(l.saved[savedSize-8:]) }

// advance puts the state back into the hash, n blocks later.
func (l *lane) advance(n int) {
	for place, word := range order {
		binary.BigEndian.PutUint32(l.saved[len(magic)+4*word:], l.state[place])
	}
	size := n * sha256.BlockSize
	binary.BigEndian.PutUint64(l.saved[savedSize-8:], l.written()+uint64(size))
	if err := l.hash.UnmarshalBinary(l.saved); err != nil {
		panic("sha256pair: crypto/sha256 takes no state that it gave: " + err.Error()) // enabled has tried
	}
	l.rest = l.rest[size:]
}

// blocks goes on with both digests by n blocks each, of p and of q.
//
//go:noescape
func blocks(a, b *state, p, q *byte, n int)

// constants are those of the 64 rounds.
var constants [64]uint32

// setConstants computes them: the first 32 bits behind the point of the cube roots of
// the first primes (FIPS 180-4, 4.2.2).
func setConstants() {
	for i, n := 0, 2; i < len(constants); n++ {
		if prime(n) {
			_, behind := math.Modf(math.Cbrt(float64(n)))
			constants[i] = uint32(behind * (1 << 32))
			i++
		}
	}
}

func prime(n int) bool {
	for i := 2; i*i <= n; i++ {
		if n%i == 0 {
			return false
		}
	}
	return true
}

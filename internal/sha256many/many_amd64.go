//go:build !boringcrypto

package sha256many

import (
	"bytes"
	"crypto/fips140"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
	"math"
	"slices"
	"sync"

	"github.com/klauspost/cpuid/v2"
)

// The most digests that are computed at once, and how many of them must be there for
// the kernel of sixteen, which takes the same time for less, to be faster than pairs.
const (
	most      = 16
	worthMost = 9
)

// wide tells whether there is a kernel of sixteen. width sets it.
var wide bool

// width is what the processor can, unless a certified module is asked for or
// crypto/sha256 does not keep its state as it did when this was written any more, which
// trying shows.
var width = sync.OnceValue(func() int {
	if fips140.Enabled() || !cpuid.CPU.Supports(cpuid.SHA, cpuid.SSSE3) {
		return 1
	}
	setConstants()
	for _, n := range []int{most, 2} {
		wide = n == most
		if (!wide || cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW)) && works(n) {
			return n
		}
	}
	return 1
})

// works tries to compute n digests at once.
func works(n int) bool {
	var sums []hash.Hash
	var parts [][]byte
	var want [][sha256.Size]byte
	for i := range n {
		part := make([]byte, least+i)
		for j := range part {
			part[j] = byte(i*31 + j*j)
		}
		want = append(want, sha256.Sum256(part))
		sums, parts = append(sums, sha256.New()), append(parts, part[i:])
		_, _ = sums[i].Write(part[:i])
	}
	for i, left := range together(sums, parts) {
		_, _ = sums[i].Write(left)
		if len(left) > 2*sha256.BlockSize || !bytes.Equal(sums[i].Sum(nil), want[i][:]) {
			return false
		}
	}
	return true
}

// together writes as many whole blocks as there are of all, and gives what is left.
func together(sums []hash.Hash, parts [][]byte) (left [][]byte) {
	var all, ready []*lane
	for i, sum := range sums {
		l := newLane(sum, parts[i])
		if all = append(all, l); l.ok {
			ready = append(ready, l)
		}
	}
	for some := range slices.Chunk(ready, most) {
		advance(some)
	}
	for _, l := range all {
		left = append(left, l.rest)
	}
	return left
}

// advance goes on with the lanes, but for a last one that is alone.
func advance(lanes []*lane) {
	if wide && len(lanes) >= worthMost {
		sixteen(lanes)
		return
	}
	for both := range slices.Chunk(lanes, 2) {
		if len(both) == 2 {
			pair(both[0], both[1])
		}
	}
}

// common is how many blocks there are of all.
func common(lanes ...*lane) int {
	n := len(lanes[0].rest)
	for _, l := range lanes {
		n = min(n, len(l.rest))
	}
	return n / sha256.BlockSize
}

// atOnce is how many blocks a kernel is asked for at once: while it computes, up to 0.4
// ms, its goroutine can't be stopped.
const atOnce = 2048

// order tells which word of the standard's, A to H, is in each place of a pair's state.
var order = [8]int{5, 4, 1, 0, 7, 6, 3, 2}

// pair goes on with two lanes.
func pair(a, b *lane) {
	var states [2][8]uint32
	for i, l := range [2]*lane{a, b} {
		for place, word := range order {
			states[i][place] = l.word(word)
		}
	}
	blocks := common(a, b)
	for done := 0; done < blocks; done += atOnce {
		from := done * sha256.BlockSize
		pairBlocks(&states[0], &states[1], &a.rest[from], &b.rest[from], min(blocks-done, atOnce))
	}
	for i, l := range [2]*lane{a, b} {
		for place, word := range order {
			l.setWord(word, states[i][place])
		}
		l.advance(blocks)
	}
}

// sixteen goes on with up to sixteen lanes. Those that are missing are the last one again,
// whose result is taken once.
func sixteen(lanes []*lane) {
	var states [8][most]uint32
	for i := range most {
		for word := range states {
			states[word][i] = lanes[min(i, len(lanes)-1)].word(word)
		}
	}
	blocks := common(lanes...)
	for done := 0; done < blocks; done += atOnce {
		var from [most]*byte
		for i := range from {
			from[i] = &lanes[min(i, len(lanes)-1)].rest[done*sha256.BlockSize]
		}
		sixteenBlocks(&states, &from, min(blocks-done, atOnce))
	}
	for i, l := range lanes {
		for word := range states {
			l.setWord(word, states[word][i])
		}
		l.advance(blocks)
	}
}

// lane is one of the digests.
type lane struct {
	hash  resumable
	saved []byte // as marshaled, at the beginning of a block
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

// word is one of the words A to H of the state.
func (l *lane) word(i int) uint32 { return binary.BigEndian.Uint32(l.saved[len(magic)+4*i:]) }

func (l *lane) setWord(i int, word uint32) {
	binary.BigEndian.PutUint32(l.saved[len(magic)+4*i:], word)
}

// advance puts the state back into the hash, n blocks later.
func (l *lane) advance(n int) {
	size := n * sha256.BlockSize
	binary.BigEndian.PutUint64(l.saved[savedSize-8:], l.written()+uint64(size))
	if err := l.hash.UnmarshalBinary(l.saved); err != nil {
		panic("sha256many: crypto/sha256 takes no state that it gave: " + err.Error()) // width has tried
	}
	l.rest = l.rest[size:]
}

// pairBlocks goes on with both digests by n blocks each, of p and of q. The words of a
// state are in the order of the instructions.
//
//go:noescape
func pairBlocks(a, b *[8]uint32, p, q *byte, n int)

// sixteenBlocks goes on with sixteen digests by n blocks each, which begin at p. Each word
// of the states has those of all digests in a row.
//
//go:noescape
func sixteenBlocks(states *[8][most]uint32, p *[most]*byte, n int)

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

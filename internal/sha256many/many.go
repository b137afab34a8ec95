// Package sha256many computes several SHA-256 digests at once. Each step of a digest
// waits for the one before it; of several digests others go on meanwhile. On amd64, two at
// once take little longer than one by the instructions for SHA-256, and sixteen, whose
// words fill the registers of AVX-512, about as long as six. On processors without these
// instructions, and where a certified module is asked for, they take turns.
package sha256many

import "hash"

// least is how many bytes must be common to all: below, what is saved is less than
// taking the states out of the hashes and putting them back.
const least = 4 << 10

// Width is how many digests are best computed at once: 16, 2 or 1.
func Width() int { return width() }

// Write writes parts[i] to sums[i], as their methods do; all come from [sha256.New] of
// crypto/sha256, and what one has more of than the shortest part is written alone. It is
// for one goroutine, and never fails.
func Write(sums []hash.Hash, parts [][]byte) {
	shortest := 0
	for i, part := range parts {
		if i == 0 || len(part) < shortest {
			shortest = len(part)
		}
	}
	if len(sums) > 1 && shortest >= least && Width() > 1 {
		parts = together(sums, parts)
	}
	for i, sum := range sums {
		_, _ = sum.Write(parts[i])
	}
}

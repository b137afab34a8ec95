// Package sha256pair computes two SHA-256 digests at once. A processor with
// instructions for SHA-256 waits in each of them for the one before it, most of the
// time; of two digests one goes on while the other waits. So two at once take about
// as long as one, on amd64 with these instructions; elsewhere, and where a certified
// module is asked for, they take turns.
package sha256pair

import "hash"

// least is how many bytes must be common to both: below, what is saved is less than
// taking the states out of the hashes and putting them back.
const least = 4 << 10

// Write writes p to a and q to b, as their methods do; both come from [sha256.New] of
// crypto/sha256, and what one has more of than the other is written alone. It is for
// one goroutine, and never fails.
func Write(a, b hash.Hash, p, q []byte) {
	if min(len(p), len(q)) >= least && enabled() {
		p, q = common(a, b, p, q)
	}
	_, _ = a.Write(p)
	_, _ = b.Write(q)
}

package files

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/azml-go/azml"
)

// digest is the SHA-256 of some bytes.
type digest [sha256.Size]byte

// emptyDigest is the digest of no bytes.
var emptyDigest = digestOf(nil)

func digestOf(data []byte) digest { return sha256.Sum256(data) }

func (d digest) String() string { return hex.EncodeToString(d[:]) }

// parseDigest reads 64 lower-case hex digits.
func parseDigest(text string) (digest, error) {
	var d digest
	if len(text) != hex.EncodedLen(len(d)) || strings.ToLower(text) != text {
		return d, fmt.Errorf("%w: not a SHA-256 digest in lower-case hex: %.80q", azml.ErrInvalid, text)
	}
	if _, err := hex.Decode(d[:], []byte(text)); err != nil {
		return d, fmt.Errorf("%w: not a SHA-256 digest: %q", azml.ErrInvalid, text)
	}
	return d, nil
}

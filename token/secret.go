package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
)

// Secret is a token itself, which lets in whoever has it. It is shown as
// "REDACTED" wherever it is printed; convert it to a string to get it.
type Secret string

// String gives "REDACTED".
func (Secret) String() string { return "REDACTED" }

// GoString gives "REDACTED".
func (Secret) GoString() string { return "REDACTED" }

const (
	prefix   = "azml_"
	idBytes  = 8
	keyBytes = 32
	sumBytes = 4
)

// digits are base 32 in small letters: a double click marks all of it.
var digits = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newSecret draws the secret of the token with that ID.
func newSecret(id string) Secret {
	key := make([]byte, keyBytes, keyBytes+sumBytes)
	_, _ = rand.Read(key) // never fails
	key = binary.BigEndian.AppendUint32(key, checksum(id, key))
	return Secret(prefix + id + "_" + digits.EncodeToString(key))
}

// checksum tells a token that was mistyped or cut off from others without
// asking the store.
func checksum(id string, key []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE([]byte(id)), crc32.IEEETable, key)
}

// errUnknown is the error for what is no token of the workspace. It doesn't tell
// how close it was to one.
var errUnknown = fmt.Errorf("%w: it is no token of this workspace", azml.ErrDenied)

// idOf gives the ID that is in the secret. Errors: ErrDenied for what can't be
// one.
func idOf(secret string) (string, error) {
	rest, ok := strings.CutPrefix(secret, prefix)
	id, text, found := strings.Cut(rest, "_")
	if !ok || !found || core.TokenID.Check(id) != nil {
		return "", errUnknown
	}
	key, err := digits.DecodeString(text)
	if err != nil || len(key) != keyBytes+sumBytes || digits.EncodeToString(key) != text ||
		binary.BigEndian.Uint32(key[keyBytes:]) != checksum(id, key[:keyBytes]) {
		return "", errUnknown
	}
	return id, nil
}

// hash gives what is stored of a secret. A slow hash would protect nothing: it
// is for passwords that can be guessed, and nobody guesses 256 random bits; but
// anybody could keep the server busy with it.
func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"

	"github.com/azml-go/azml"
)

// Secret is a token itself, which lets in whoever has it. It is shown as
// "REDACTED" wherever it is printed; convert it to a string to get it.
type Secret string

// String gives "REDACTED".
func (Secret) String() string { return "REDACTED" }

// GoString gives "REDACTED".
func (Secret) GoString() string { return "REDACTED" }

const (
	prefix    = "azml_"
	idBytes   = 8
	keyBytes  = 32
	keyBegin  = len(prefix) + 2*idBytes + 1 // where the random part begins
	secretLen = keyBegin + (8*keyBytes+4)/5
)

// digits are base 32 in small letters: a double click marks all of it.
var digits = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newSecret draws the secret of the token with that ID.
func newSecret(id string) Secret {
	key := make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails
	return Secret(prefix + id + "_" + digits.EncodeToString(key))
}

// errUnknown is the error for what is no token of the workspace. It doesn't tell
// how close it was to one.
var errUnknown = fmt.Errorf("%w: it is no token of this workspace", azml.ErrDenied)

// idOf gives what stands in the place of the ID. Whether it is one, and all else
// about the secret, is found out by its hash.
func idOf(secret string) string {
	if len(secret) != secretLen {
		return ""
	}
	return secret[len(prefix) : keyBegin-1]
}

// hash gives what is stored of a secret. A slow hash would protect nothing: it
// is for passwords that can be guessed, and nobody guesses 256 random bits; but
// anybody could keep the server busy with it.
func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

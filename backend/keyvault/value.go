package keyvault

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/azml-go/azml"
)

const (
	// maxValue is the greatest size of a value in the vault, in bytes.
	maxValue = 25_000
	// binaryType is the content type of values in base64, and binaryPrefix
	// their beginning.
	binaryType   = "application/vnd.azml.base64"
	binaryPrefix = "base64:"
)

// encode gives the text to store and its content type, nil for plain text. Its
// errors go on after "the value of the secret".
func encode(value string) (text string, contentType *string, err error) {
	if isText(value) {
		if len(value) > maxValue {
			return "", nil, fmt.Errorf("has %d bytes: a key vault takes %d", len(value), maxValue)
		}
		return value, nil, nil
	}
	text = binaryPrefix + base64.StdEncoding.EncodeToString([]byte(value))
	if len(text) > maxValue {
		most := base64.StdEncoding.DecodedLen(maxValue - len(binaryPrefix))
		return "", nil, fmt.Errorf("has %d bytes and is not plain text: a key vault takes %d of such", len(value), most)
	}
	return text, new(binaryType), nil
}

// isText tells whether every vault, and every program that reads it, takes the
// value as it is.
func isText(value string) bool {
	control := func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f }
	return value != "" && utf8.ValidString(value) && !strings.ContainsFunc(value, control)
}

// decode gives the value of what the vault has stored.
func decode(name string, text, contentType *string) (string, error) {
	switch {
	case text == nil:
		return "", nil // a vault that takes empty values may leave them out
	case contentType == nil || *contentType != binaryType:
		return *text, nil
	}
	encoded, ok := strings.CutPrefix(*text, binaryPrefix)
	value, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil {
		return "", fmt.Errorf("%w: secret %q is marked as base64 and is none: set it again", azml.ErrDamaged, name)
	}
	return string(value), nil
}

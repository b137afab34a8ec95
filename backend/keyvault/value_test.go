package keyvault

import (
	"testing"
	"unicode/utf8"

	"github.com/azml-go/azml"
)

// FuzzValue stores any value as text that a vault takes, and gets it back.
func FuzzValue(f *testing.F) {
	for _, value := range []string{"", "text", "base64:eA==", "\x00\xff", "é\n"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		text, contentType, err := encode(value)
		if err != nil {
			if len(value) <= 18_744 {
				t.Fatalf("%d bytes are refused: %v", len(value), err)
			}
			return
		}
		if text == "" || len(text) > maxValue || !utf8.ValidString(text) {
			t.Fatalf("%q is stored as %q", value, text)
		}
		if got, err := decode("a", &text, contentType); err != nil || got != value {
			t.Fatalf("%q came back as %q, %v", value, got, err)
		}
		if got, err := decode("a", &value, new(binaryType)); err != nil && azml.ClassOf(err) == nil {
			t.Fatalf("%q as base64: %q, %v", value, got, err)
		}
	})
}

package datastore

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Secret is a credential. It is shown as "REDACTED" wherever it is printed or
// encoded; convert it to a string to get it.
type Secret string

// Format implements fmt.Formatter, for every verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "REDACTED") }

// MarshalText gives "REDACTED".
func (Secret) MarshalText() ([]byte, error) { return []byte("REDACTED"), nil }

// redactedError is an error whose text held a credential. Its causes would show
// it again, so only its class is left of them.
type redactedError struct {
	class error
	text  string
}

// Error gives the text without the credential.
func (e redactedError) Error() string { return e.text }

// Unwrap gives the class.
func (e redactedError) Unwrap() error { return e.class }

// scrub gives err without the credentials: what a driver or a server has to say
// may repeat a URL or a header.
func scrub(err error, credentials backend.Credentials) error {
	if err == nil || len(credentials) == 0 {
		return err
	}
	text := err.Error()
	clean := text
	// The longest first: one may be a part of another.
	values := slices.SortedFunc(maps.Values(credentials), func(a, b string) int { return len(b) - len(a) })
	for _, value := range values {
		for _, form := range []string{value, url.QueryEscape(value), url.PathEscape(value), fmt.Sprintf("%q", value)} {
			const shortest = 4 // less would cut ordinary words into pieces
			if len(form) >= shortest {
				clean = strings.ReplaceAll(clean, form, "REDACTED")
			}
		}
	}
	if clean == text {
		return err
	}
	class := azml.ClassOf(err)
	if class == nil {
		class = azml.ErrUnavailable
	}
	return redactedError{class, clean}
}

// Package mask replaces secrets in text that is going to be stored or shown,
// also in text that comes in pieces.
package mask

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

// Mask stands in text for a secret.
const Mask = "****"

// shortest is the length from which on a secret's other spellings are looked
// for, and lines of it alone: shorter ones would tear other words apart.
const shortest = 6

// Secrets are values that must not be seen. The nil Secrets are none. They are
// immutable and safe for concurrent use.
type Secrets struct {
	spellings [256][]string // by first byte, the longest first
	long      *Secrets      // without the short ones
}

// New gives the secrets of those values; empty ones are passed over, and nil is
// given when none is left. Also found are a value's forms in JSON, URLs and
// base64, and the single lines of one with several.
func New(values ...string) *Secrets {
	all := map[string]bool{}
	var long []string
	for _, value := range values {
		all[value] = true
		if len(value) < shortest {
			continue
		}
		long = append(long, value)
		for _, spelling := range spellings(value) {
			all[spelling] = true
		}
	}
	delete(all, "")
	if len(all) == 0 {
		return nil
	}
	s := &Secrets{}
	if s.long = s; len(long) < len(values) {
		s.long = New(long...)
	}
	for spelling := range all {
		s.spellings[spelling[0]] = append(s.spellings[spelling[0]], spelling)
	}
	for _, same := range s.spellings {
		slices.SortFunc(same, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	}
	return s
}

// spellings gives the other forms in which a value may be written.
func spellings(value string) []string {
	quoted, query := quote(value), url.QueryEscape(value)
	percent := strings.ReplaceAll(query, "+", "%20") // as most others write it
	forms := []string{quoted, ascii(quoted), query, percent, strings.ReplaceAll(percent, "%2F", "/"), url.PathEscape(value),
		base64.StdEncoding.EncodeToString([]byte(value)), base64.RawStdEncoding.EncodeToString([]byte(value)),
		base64.URLEncoding.EncodeToString([]byte(value)), base64.RawURLEncoding.EncodeToString([]byte(value))}
	if trimmed := strings.TrimSpace(value); len(trimmed) >= shortest {
		forms = append(forms, trimmed)
	}
	if lines := strings.FieldsFunc(value, func(r rune) bool { return r == '\n' || r == '\r' }); len(lines) > 1 {
		for _, line := range lines {
			if line = strings.TrimSpace(line); len(line) >= shortest {
				forms = append(forms, line)
			}
		}
	}
	return forms
}

// quote gives the text as it stands between the quotes of JSON.
func quote(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(text) != nil {
		return text
	}
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), `"`), "\"\n")
}

// ascii gives quoted text as Python's json writes it.
func ascii(quoted string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for _, r := range quoted {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			b.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				b.WriteByte(hex[unit>>shift&0xf])
			}
		}
	}
	return b.String()
}

// Text gives the text with all secrets masked.
func (s *Secrets) Text(text string) string {
	if s == nil {
		return text
	}
	var state pending
	return string(state.take(s, []byte(text), true))
}

// JSON gives JSON text with the secrets in its strings masked. Numbers stay:
// they would be none any more. Secrets of less than six bytes stay, too: they
// would be found in names and IDs, and the text would mean something else. What
// is no JSON is given as it is.
func (s *Secrets) JSON(text []byte) []byte {
	if s == nil || s.long == nil {
		return text
	}
	s = s.long
	var out []byte
	for rest := text; ; {
		begin := slices.Index(rest, '"')
		if begin < 0 {
			return append(out, rest...)
		}
		end := endOfString(rest, begin+1)
		if end < 0 {
			return append(out, rest...)
		}
		out = append(out, rest[:begin]...)
		out = append(out, s.literal(rest[begin:end])...)
		rest = rest[end:]
	}
}

// endOfString gives the index behind the quote that ends the string, -1 when
// nothing does.
func endOfString(text []byte, i int) int {
	for ; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// literal masks one string of JSON, with its quotes.
func (s *Secrets) literal(quoted []byte) []byte {
	var value string
	if json.Unmarshal(quoted, &value) != nil {
		return quoted
	}
	masked := s.Text(value)
	if masked == value {
		return quoted
	}
	return []byte(`"` + quote(masked) + `"`)
}

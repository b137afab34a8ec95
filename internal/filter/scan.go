package filter

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// scanner reads a text from left to right. Errors say at which character.
type scanner struct {
	what string // "filter" or "order"
	text string
	pos  int
}

// fail gives an error at the place at.
func (s *scanner) fail(at int, format string, args ...any) error {
	return invalid("%s, column %d: %s", s.what, utf8.RuneCountInString(s.text[:at])+1, fmt.Sprintf(format, args...))
}

// expected gives an error that names what is there instead.
func (s *scanner) expected(what string) error {
	return s.fail(s.pos, "expected %s, found %s", what, s.here())
}

// here names what comes next.
func (s *scanner) here() string {
	rest := s.text[s.pos:]
	if rest == "" {
		return "the end"
	}
	end := strings.IndexFunc(rest, unicode.IsSpace)
	if end <= 0 {
		end = len(rest)
	}
	return strconv.Quote(short(rest[:end]))
}

func (s *scanner) space() {
	s.pos = len(s.text) - len(strings.TrimLeftFunc(s.text[s.pos:], unicode.IsSpace))
}

func (s *scanner) done() bool { return s.pos == len(s.text) }

// next tells whether one of the bytes comes next.
func (s *scanner) next(any string) bool {
	return !s.done() && strings.IndexByte(any, s.text[s.pos]) >= 0
}

// take passes over text, if it comes next, and the space behind it.
func (s *scanner) take(text string) bool {
	if !strings.HasPrefix(s.text[s.pos:], text) {
		return false
	}
	s.pos += len(text)
	s.space()
	return true
}

// keyword passes over the word in any case, if it comes next as a word of its
// own, and the space behind it.
func (s *scanner) keyword(word string) bool {
	end := s.pos + len(word)
	if end > len(s.text) || !strings.EqualFold(s.text[s.pos:end], word) {
		return false
	}
	if r, _ := utf8.DecodeRuneInString(s.text[end:]); end < len(s.text) && (inKey(r) || r == '`' || r == '"') {
		return false
	}
	s.pos = end
	s.space()
	return true
}

// inKey tells whether a key that is not quoted may have the character.
func inKey(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || strings.ContainsRune("_.-/:@", r)
}

// word reads a key, or a part of one, that is not quoted.
func (s *scanner) word(accept func(rune) bool) string {
	rest := s.text[s.pos:]
	end := strings.IndexFunc(rest, func(r rune) bool { return !accept(r) })
	if end < 0 {
		end = len(rest)
	}
	s.pos += end
	return rest[:end]
}

// quoted reads what is between quotes; a quote in it is doubled.
func (s *scanner) quoted() (string, error) {
	begin, quote := s.pos, s.text[s.pos]
	var out strings.Builder
	for s.pos++; ; {
		end := strings.IndexByte(s.text[s.pos:], quote)
		if end < 0 {
			return "", s.fail(begin, "the %c that opens here is not closed", quote)
		}
		out.WriteString(s.text[s.pos : s.pos+end])
		if s.pos += end + 1; !s.next(string(quote)) {
			return out.String(), nil
		}
		out.WriteByte(quote)
		s.pos++
	}
}

// field reads the name of a field and the space behind it.
func (s *scanner) field(schema *Schema) (Field, error) {
	begin := s.pos
	part := func(accept func(rune) bool) (string, error) {
		if s.next("`\"") {
			return s.quoted()
		}
		return s.word(accept), nil
	}
	key, err := part(func(r rune) bool { return r != '.' && inKey(r) })
	if err != nil {
		return Field{}, err
	}
	entity := ""
	if s.pos > begin && s.next(".") {
		s.pos++
		entity = key
		if key, err = part(inKey); err != nil {
			return Field{}, err
		}
	}
	if s.pos == begin {
		return Field{}, s.expected("the name of a field")
	}
	f, err := schema.field(entity, key)
	if err != nil {
		return Field{}, s.fail(begin, "%v", err)
	}
	s.space()
	return f, nil
}

// value reads a value for the field and the space behind it.
func (s *scanner) value(f Field) (v Value, err error) {
	switch {
	case f.Type == Number:
		v.Number, err = s.number(f)
	case s.next("'\""):
		v.Text, err = s.quoted()
	default:
		err = s.expected(fmt.Sprintf("a text in quotes such as 'a', for %s has text", f))
	}
	s.space()
	return v, err
}

// number reads a decimal number.
func (s *scanner) number(f Field) (float64, error) {
	begin := s.pos
	text := s.word(func(r rune) bool { return r < utf8.RuneSelf && inKey(r) || r == '+' })
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789+-.eE", r) }),
		err != nil && !errors.Is(err, strconv.ErrRange), math.IsNaN(n):
		s.pos = begin
		return 0, s.expected(fmt.Sprintf("a number such as 0.5, for %s has numbers", f))
	}
	return n, nil // out of range: ±Inf, which compares rightly
}

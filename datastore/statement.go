package datastore

import (
	"fmt"
	"slices"
	"strings"

	"github.com/azml-go/azml"
)

// checkStatement gives an error for what is not one statement that asks. It is
// there for clear words: that nothing is changed is held by the read-only
// transaction that the drivers run it in.
func checkStatement(query string) error {
	bad := func(why string) error {
		return fmt.Errorf("%w: the query %s: use one SELECT, WITH, VALUES or TABLE statement", azml.ErrInvalid, why)
	}
	if strings.ContainsRune(query, 0) {
		return bad("holds a NUL character")
	}
	rest := query[blank(query):]
	for strings.HasPrefix(rest, "(") { // "(SELECT …) UNION …"
		rest = rest[1:]
		rest = rest[blank(rest):]
	}
	word := strings.ToUpper(rest[:wordLen(rest)])
	switch {
	case rest == "":
		return bad("is empty")
	case !slices.Contains([]string{"SELECT", "WITH", "VALUES", "TABLE"}, word):
		return bad(fmt.Sprintf("begins with %.20q", rest))
	}
	for left := rest[statementEnd(rest):]; left != ""; left = left[1:] {
		if left = left[blank(left):]; left != "" && left[0] != ';' {
			return bad("has something behind its end")
		}
		if left == "" {
			break
		}
	}
	return nil
}

// statementEnd gives the place of the first ";" that is none of a literal, a
// name or a comment.
func statementEnd(s string) int {
	for i := 0; i < len(s); {
		if s[i] == ';' {
			return i
		}
		i += tokenLen(s, i)
	}
	return len(s)
}

// tokenLen gives the length of the literal, quoted name or comment at i, or of
// the word or character that is there instead.
func tokenLen(s string, i int) int {
	rest := s[i:]
	switch c := rest[0]; {
	case c == '\'':
		return quoted(rest, '\'', i > 0 && (s[i-1] == 'e' || s[i-1] == 'E') && (i == 1 || !isWord(s[i-2])))
	case c == '"', c == '`':
		return quoted(rest, c, false)
	case c == '$':
		if i == 0 || !isWord(s[i-1]) {
			return dollarQuoted(rest)
		}
	case blankToken(rest) > 0:
		return blankToken(rest)
	}
	return 1
}

// quoted gives the length of what is quoted at the beginning of s. A doubled
// quote stands for itself, and so does one behind a backslash where that counts.
func quoted(s string, quote byte, backslash bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case backslash && s[i] == '\\':
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

// dollarQuoted gives the length of PostgreSQL's $tag$…$tag$ at the beginning
// of s, 1 when it is none.
func dollarQuoted(s string) int {
	n := 1 + wordLen(s[1:])
	if n >= len(s) || s[n] != '$' || n > 1 && s[1] >= '0' && s[1] <= '9' {
		return 1
	}
	tag := s[:n+1]
	if end := strings.Index(s[len(tag):], tag); end >= 0 {
		return len(tag) + end + len(tag)
	}
	return len(s)
}

// blank gives the length of the spaces and comments at the beginning of s.
func blank(s string) int {
	n := 0
	for n < len(s) {
		step := blankToken(s[n:])
		if step == 0 {
			break
		}
		n += step
	}
	return n
}

// blankToken gives the length of the space or the comment at the beginning of s,
// 0 when there is none.
func blankToken(s string) int {
	switch {
	case s == "":
		return 0
	case isSpace(rune(s[0])):
		return 1
	case strings.HasPrefix(s, "--"):
		if end := strings.IndexByte(s, '\n'); end >= 0 {
			return end + 1
		}
		return len(s)
	case strings.HasPrefix(s, "/*"):
		return commentLen(s)
	}
	return 0
}

// commentLen gives the length of a comment, in which others may be nested.
func commentLen(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch s[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// wordLen gives the length of the word at the beginning of s.
func wordLen(s string) int {
	n := 0
	for n < len(s) && isWord(s[n]) {
		n++
	}
	return n
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

func isSpace(r rune) bool { return strings.ContainsRune(" \t\r\n\f\v", r) }

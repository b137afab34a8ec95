package filter

import (
	"unicode"
	"unicode/utf8"
)

// Like tells whether the text has the form of the pattern, in which % stands for
// any characters, also none, and _ for one character; all others stand for
// themselves, there is no escape. A character is a Unicode code point.
func Like(pattern, text string) bool {
	return like(pattern, text, func(a, b rune) bool { return a == b })
}

// ILike is Like without regard to case: characters that differ by Unicode's
// simple case folding are the same. So É matches é, and ß matches ẞ but not SS.
func ILike(pattern, text string) bool { return like(pattern, text, sameLetter) }

// like goes on from the last % when what follows does not match: an earlier
// one never has to be tried again.
func like(pattern, text string, same func(a, b rune) bool) bool {
	p, t := 0, 0
	afterPercent, resume := -1, 0 // where to go on in pattern and text
	for t < len(text) {
		want, wantSize := utf8.DecodeRuneInString(pattern[p:])
		have, haveSize := utf8.DecodeRuneInString(text[t:])
		switch {
		case wantSize > 0 && want == '%':
			p += wantSize
			afterPercent, resume = p, t
		case wantSize > 0 && (want == '_' || same(want, have)):
			p += wantSize
			t += haveSize
		case afterPercent >= 0:
			_, skip := utf8.DecodeRuneInString(text[resume:])
			resume += skip
			p, t = afterPercent, resume
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '%' {
		p++
	}
	return p == len(pattern)
}

func sameLetter(a, b rune) bool {
	if a == b {
		return true
	}
	for r := unicode.SimpleFold(a); r != a; r = unicode.SimpleFold(r) {
		if r == b {
			return true
		}
	}
	return false
}

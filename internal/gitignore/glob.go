package gitignore

// glob is a pattern for one name: it never meets a slash.
type glob []token

// token matches one byte, or any number of them when it is a star.
type token struct {
	kind tokenKind
	char byte
	set  *byteSet
}

type tokenKind uint8

const (
	oneChar tokenKind = iota
	anyChar
	charSet
	star
)

func (t token) accepts(c byte) bool {
	switch t.kind {
	case oneChar:
		return t.char == c
	case anyChar:
		return true
	default:
		return t.set.has(c)
	}
}

// match compares the whole of s. When a byte does not fit, only the last star
// need take more of s: whatever an earlier star could leave, the last one can
// skip as well. So the work is at most len(g) times len(s).
func (g glob) match(s string) bool {
	var i, j int
	starAt, resume := -1, 0
	for j < len(s) {
		switch {
		case i < len(g) && g[i].kind == star:
			starAt, resume = i, j
			i++
		case i < len(g) && g[i].accepts(s[j]):
			i++
			j++
		case starAt >= 0:
			resume++
			i, j = starAt+1, resume
		default:
			return false
		}
	}
	for i < len(g) && g[i].kind == star {
		i++
	}
	return i == len(g)
}

// compileGlob compiles text that holds no slash. It returns false when nothing
// can ever match.
func compileGlob(text string) (glob, bool) {
	var g glob
	for text != "" {
		t, rest, ok := nextToken(text)
		if !ok {
			return nil, false
		}
		g = g.add(t)
		text = rest
	}
	return g, true
}

// add appends t. Stars in a row are one.
func (g glob) add(t token) glob {
	if n := len(g); t.kind == star && n > 0 && g[n-1].kind == star {
		return g
	}
	return append(g, t)
}

// nextToken takes one token off text, which is not empty. It returns false for
// a backslash with nothing behind it and for a set that is not well formed.
func nextToken(text string) (t token, rest string, ok bool) {
	switch c := text[0]; c {
	case '*':
		return token{kind: star}, text[1:], true
	case '?':
		return token{kind: anyChar}, text[1:], true
	case '[':
		set, rest, ok := parseSet(text[1:])
		return token{kind: charSet, set: set}, rest, ok
	case '\\':
		if len(text) == 1 {
			return token{}, "", false
		}
		return token{kind: oneChar, char: text[1]}, text[2:], true
	default:
		return token{kind: oneChar, char: c}, text[1:], true
	}
}

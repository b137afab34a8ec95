package gitignore

import (
	"strconv"
	"strings"
)

// Pattern is one line of an ignore file. Its fields are for reading only.
type Pattern struct {
	// Source names the file, as it was given to Parse.
	Source string
	// Line is the number of the line in that file, from 1.
	Line int
	// Text is the line without its line ending and idle spaces.
	Text string
	// Negated says that the pattern takes back what an earlier one ignored
	// (it begins with "!").
	Negated bool
	// DirOnly says that the pattern matches folders only (it ends in "/").
	DirOnly bool

	match func(p *Pattern, s string) bool
	// byPath says that match wants the path below the ignore file's folder,
	// not just the last name.
	byPath  bool
	literal string
	glob    glob
	path    pathGlob
}

// String gives "file:line: pattern".
func (p *Pattern) String() string {
	return p.Source + ":" + strconv.Itoa(p.Line) + ": " + p.Text
}

// Names says whether the pattern spells out name as its last part, without any
// wildcard: "!/web/node_modules/" names node_modules, "!*/" and "!node*" don't.
func (p *Pattern) Names(name string) bool {
	text := strings.TrimSuffix(strings.TrimPrefix(p.Text, "!"), "/")
	return text[strings.LastIndexByte(text, '/')+1:] == name
}

// compile prepares the matching. It returns false when nothing can ever match.
func (p *Pattern) compile() bool {
	text, negated := strings.CutPrefix(p.Text, "!")
	text, dirOnly := strings.CutSuffix(text, "/")
	p.Negated, p.DirOnly = negated, dirOnly
	if text == "" {
		return false
	}
	if strings.Contains(text, "/") {
		return p.compilePath(strings.TrimPrefix(text, "/"))
	}
	return p.compileName(text)
}

// compileName prepares a pattern without a slash: it matches the last name of
// a path, at any depth.
func (p *Pattern) compileName(text string) bool {
	rest, star := strings.CutPrefix(text, "*")
	switch {
	case plainLen(text) == len(text):
		p.literal, p.match = text, (*Pattern).isLiteral
		return true
	case star && plainLen(rest) == len(rest):
		p.literal, p.match = rest, (*Pattern).endsInLiteral
		return true
	}
	var ok bool
	p.glob, ok = compileGlob(text)
	p.match = (*Pattern).matchGlob
	return ok
}

// compilePath prepares a pattern with a slash: it matches the whole path below
// the folder of the ignore file. Its plain beginning is compared first, and
// the rest is compiled as if it began there, which is where "ab**/c" gets its
// meaning from (see the package comment).
func (p *Pattern) compilePath(text string) bool {
	p.byPath = true
	n := plainLen(text)
	p.literal = text[:n]
	if n == len(text) {
		p.match = (*Pattern).isLiteral
		return n > 0
	}
	var ok bool
	p.path, ok = compilePathGlob(text[n:])
	p.match = (*Pattern).matchPath
	return ok
}

func (p *Pattern) isLiteral(s string) bool     { return s == p.literal }
func (p *Pattern) endsInLiteral(s string) bool { return strings.HasSuffix(s, p.literal) }
func (p *Pattern) matchGlob(s string) bool     { return p.glob.match(s) }

func (p *Pattern) matchPath(s string) bool {
	rest, ok := strings.CutPrefix(s, p.literal)
	return ok && p.path.match(rest)
}

// plainLen is the length of the beginning of s that holds no wildcard.
func plainLen(s string) int {
	if i := strings.IndexAny(s, `*?[\`); i >= 0 {
		return i
	}
	return len(s)
}

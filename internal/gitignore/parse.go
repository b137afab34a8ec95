package gitignore

import (
	"bytes"
	"strings"
)

// Patterns holds the patterns of one ignore file in their order. It does not
// change after Parse and is safe for concurrent use. A nil *Patterns is empty.
type Patterns struct {
	list []*Pattern
}

// Parse reads the text of an ignore file. Any text is acceptable: lines that
// can never match, such as comments or an unclosed "[", are left out, as git
// does without a word. The source is the file's name as Pattern.Source is to
// tell it. Data is not kept.
func Parse(source string, data []byte) *Patterns {
	ps := &Patterns{}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	for number := 1; len(data) > 0; number++ {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte{'\n'})
		text := trimLine(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		p := &Pattern{Source: source, Line: number, Text: text}
		if p.compile() {
			ps.list = append(ps.list, p)
		}
	}
	return ps
}

// Len is the number of patterns that can match something.
func (ps *Patterns) Len() int {
	if ps == nil {
		return 0
	}
	return len(ps.list)
}

// trimLine takes off a line what git does not count: one carriage return at the end,
// everything from a NUL on, and spaces at the end that no backslash protects.
func trimLine(line string) string {
	line = strings.TrimSuffix(line, "\r")
	line, _, _ = strings.Cut(line, "\x00")
	end := 0
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 == len(line):
			return line
		case line[i] == '\\':
			i++
			end = i + 1
		case line[i] != ' ':
			end = i + 1
		}
	}
	return line[:end]
}

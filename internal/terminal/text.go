package terminal

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/clipperhouse/displaywidth"
)

// sequences are the control sequences of ECMA-48: CSI with its parameters,
// strings such as OSC up to their end, and the short ones.
var sequences = regexp.MustCompile(`(?:\x1b\[|\x{9b})[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x{9d}\x{90}\x{98}\x{9e}\x{9f}])[^\x07\x1b\x{9c}]*(?:\x07|\x1b\\|\x{9c}|$)|\x1b[ -/]*[0-~]`)

// Clean makes text of any origin fit for one line of a terminal: without
// control sequences, with spaces in place of control characters, and without
// the invisible characters that reorder a line.
func Clean(text string) string {
	if isPlain(text) {
		return text
	}
	text = sequences.ReplaceAllString(strings.ToValidUTF8(text, "\uFFFD"), "")
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, text)
}

// isPlain tells printable ASCII, which most text is.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// Line gives what a terminal shows of a line of a program's output: what comes
// after the last carriage return, as progress bars write over themselves, and
// that clean.
func Line(text string) string {
	text = strings.TrimRight(text, "\r\n")
	if i := strings.LastIndexByte(text, '\r'); i >= 0 {
		text = text[i+1:]
	}
	return Clean(text)
}

// Width gives the number of columns that clean text takes.
func Width(text string) int { return displaywidth.String(text) }

// Text gives the text clean, and in ASCII when that is all that can be shown.
func (s Style) Text(text string) string {
	text = Clean(text)
	if s.Unicode {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r > '~' {
			return '?'
		}
		return r
	}, text)
}

// Fit gives the text clean and cut to at most width columns; an ellipsis
// stands for what was cut off.
func (s Style) Fit(text string, width int) string {
	if most := 1024 + 16*max(width, 0); len(text) > most { // what is beyond is never seen
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	text = s.Text(text)
	if Width(text) <= width {
		return text
	}
	if width < 1 {
		return ""
	}
	return displaywidth.TruncateString(text, width, s.pick("…", "~"))
}

// Pad is Fit with spaces up to width columns.
func (s Style) Pad(text string, width int) string {
	text = s.Fit(text, width)
	return text + strings.Repeat(" ", max(0, width-Width(text)))
}

// PadLeft is Pad with the spaces before the text.
func (s Style) PadLeft(text string, width int) string {
	text = s.Fit(text, width)
	return strings.Repeat(" ", max(0, width-Width(text))) + text
}

// pick gives the first text when Unicode can be shown, else the second.
func (s Style) pick(text, ascii string) string {
	if s.Unicode {
		return text
	}
	return ascii
}

// Number gives a number as people read it, with at most six digits.
func Number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

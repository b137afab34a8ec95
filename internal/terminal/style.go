package terminal

import (
	"cmp"
	"runtime"
	"strings"
)

// Style says what a terminal can show. The zero Style draws plain ASCII.
type Style struct {
	// Unicode draws with block and Braille characters; without it all that is
	// drawn is ASCII, and "?" stands for whatever is not.
	Unicode bool
	// Color paints with the terminal's own palette.
	Color bool
}

// NewStyle reads from the environment what can be shown: Unicode when the
// locale is UTF-8 (LC_ALL, LC_CTYPE, LANG), always on Windows; colors when
// isTerminal is, unless NO_COLOR is set or TERM is "dumb".
func NewStyle(getenv func(name string) string, isTerminal bool) Style {
	locale := strings.ToLower(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	return Style{
		Unicode: runtime.GOOS == "windows" || strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8"),
		Color:   isTerminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb",
	}
}

// Color is a color, or another way to set text off.
type Color string

// The colors that Style.Paint knows, by their codes.
const (
	// Bold is for what to see first.
	Bold Color = "1"
	// Dim is for what explains.
	Dim Color = "2"
	// Red is for what failed.
	Red Color = "31"
	// Green is for what went well.
	Green Color = "32"
	// Yellow is for what goes on or waits.
	Yellow Color = "33"
	// Blue is one color among others.
	Blue Color = "34"
	// Magenta is one color among others.
	Magenta Color = "35"
	// Cyan is one color among others.
	Cyan Color = "36"
)

// Paint gives the text in a color, as it is when there are no colors or no
// text.
func (s Style) Paint(c Color, text string) string {
	if !s.Color || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

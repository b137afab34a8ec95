package terminal

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"plain":                 {"loss 0.5", "loss 0.5"},
		"wide":                  {"損失 größe", "損失 größe"},
		"colors":                {"\x1b[1;31mred\x1b[0m", "red"},
		"title of the window":   {"a\x1b]0;owned\x07b\x1b]2;again\x1b\\c", "abc"},
		"link":                  {"\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\", "text"},
		"unended string":        {"a\x1b]0;owned", "a"},
		"device control":        {"a\x1bP1$r0m\x1b\\b", "ab"},
		"short sequences":       {"a\x1bcb\x1b(Bd\x1b7e", "abde"},
		"cursor and clear":      {"a\x1b[2J\x1b[Hb\x1b[?1049hc", "abc"},
		"8-bit CSI":             {"a\u009b31mb", "ab"},
		"8-bit CSI as raw byte": {"a\x9b31mb", "a\uFFFD31mb"},
		"lone escape":           {"a\x1b", "a "},
		"control characters":    {"a\x00\x07\b\tb\x7fc\nd", "a    b c d"},
		"reordering":            {"a\u202eb\u2066c\u200fd", "abcd"},
		"separators":            {"a\u2028b", "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, Clean(tt.text))
		})
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	require.Equal(t, "100%", Line("10%\r50%\r100%\n"))
	require.Equal(t, "done", Line("done\r\n"))
	require.Equal(t, "bar", Line("\x1b[2K\rb\x1b[32mar\x1b[0m\n"))
	require.Empty(t, Line("\n"))
}

func TestFit(t *testing.T) {
	t.Parallel()
	unicode, ascii := Style{Unicode: true}, Style{}
	for name, tt := range map[string]struct {
		style Style
		text  string
		width int
		want  string
	}{
		"fits":            {unicode, "loss", 4, "loss"},
		"cut":             {unicode, "validation", 5, "vali…"},
		"wide at the cut": {unicode, "損失関数", 6, "損失…"},
		"joined emoji":    {unicode, "👩‍👩‍👧x", 3, "👩‍👩‍👧x"},
		"no room":         {unicode, "loss", 0, ""},
		"below zero":      {unicode, "loss", -3, ""},
		"very long":       {unicode, strings.Repeat("ab", 50_000), 3, "ab…"},
		"ascii":           {ascii, "損失 größe", 20, "?? gr??e"},
		"ascii cut":       {ascii, "validation", 5, "vali~"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.style.Fit(tt.text, tt.width))
		})
	}
	require.Equal(t, "損 ", unicode.Pad("損", 3))
	require.Equal(t, " 損", unicode.PadLeft("損", 3))
}

// FuzzFit: whatever the text, what is drawn can't move a terminal's cursor and
// takes no more room than it may.
func FuzzFit(f *testing.F) {
	for _, text := range []string{"loss", "\x1b[31mred", "\x1b]0;x", "損失\u0301", "a\u009b3", "\xff\xfe", "👩‍👩‍👧", "\x1b\x1b[[m"} {
		f.Add(text, 5, true)
		f.Add(text, 2, false)
	}
	f.Fuzz(func(t *testing.T, text string, width int, utf8 bool) {
		width = max(0, width) % 200
		s := Style{Unicode: utf8}
		got := s.Fit(text, width)
		require.LessOrEqual(t, Width(got), width)
		for _, r := range got {
			require.False(t, unicode.IsControl(r), "%q", got)
			require.True(t, utf8 || r <= '~', "%q", got)
		}
		require.Equal(t, Clean(text), Clean(Clean(text)))
	})
}

func TestStyleOfTheEnvironment(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		env      map[string]string
		terminal bool
		want     Style
	}{
		"nothing set":            {nil, true, Style{Color: true}},
		"UTF-8":                  {map[string]string{"LANG": "de_DE.UTF-8"}, true, Style{true, true}},
		"by its other name":      {map[string]string{"LC_CTYPE": "C.utf8"}, true, Style{true, true}},
		"LC_ALL wins":            {map[string]string{"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, true, Style{Color: true}},
		"no terminal":            {map[string]string{"LANG": "C.UTF-8"}, false, Style{Unicode: true}},
		"NO_COLOR":               {map[string]string{"NO_COLOR": "1"}, true, Style{}},
		"an empty NO_COLOR":      {map[string]string{"NO_COLOR": ""}, true, Style{Color: true}},
		"a terminal of no skill": {map[string]string{"TERM": "dumb"}, true, Style{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, NewStyle(func(name string) string { return tt.env[name] }, tt.terminal))
		})
	}
	require.Equal(t, "\x1b[31mx\x1b[0m", Style{Color: true}.Paint(Red, "x"))
	require.Equal(t, "x", Style{}.Paint(Red, "x"))
	require.Empty(t, Style{Color: true}.Paint(Red, ""))
}

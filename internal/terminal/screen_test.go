package terminal

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScreen(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	width, height := 10, 3
	var sizeErr error
	s := &Screen{out: &out, size: func() (int, int, error) { return width, height, sizeErr }}
	drawn := func(lines ...string) string {
		out.Reset()
		require.NoError(t, s.Draw(lines))
		return out.String()
	}
	require.Equal(t, "\x1b[?2026h\x1b[H\x1b[Kone\r\n\x1b[Ktwo\r\n\x1b[J\x1b[?2026l", drawn("one", "two"))
	require.Empty(t, drawn("one", "two"), "what is shown is not drawn again")
	width = 20
	require.NotEmpty(t, drawn("one", "two"), "but after a change of size it is")
	full := drawn("1", "2", "3", "4")
	require.Contains(t, full, "3\x1b[?2026l", "the last row ends without a line end, which would scroll")
	require.NotContains(t, full, "4")
	require.NotContains(t, full, "\x1b[J", "which would take the last row's end away")
	width, height = 0, 0
	w, h := s.Size()
	require.Equal(t, [2]int{80, 24}, [2]int{w, h})
	sizeErr = errors.New("no terminal")
	w, _ = s.Size()
	require.Equal(t, 80, w)

	out.Reset()
	require.NoError(t, s.Close())
	require.Equal(t, "\x1b[?7h\x1b[?25h\x1b[?1049l", out.String())
}

func TestSpans(t *testing.T) {
	t.Parallel()
	spans := []Span{{Bold, "run\x1b[2J"}, {"", " is "}, {Green, "Completed"}}
	require.Equal(t, "run is Completed", Style{}.Spans(80, spans...))
	require.Equal(t, "run is Com…", Style{Unicode: true}.Spans(11, spans...))
	require.Equal(t, "\x1b[1mrun\x1b[0m is \x1b[32mC~\x1b[0m", Style{Color: true}.Spans(9, spans...))
	require.Equal(t, "run", Style{}.Spans(3, spans...))
}

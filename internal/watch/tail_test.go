package watch

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, tail *Tail, text string) {
	t.Helper()
	n, err := tail.Write([]byte(text))
	require.NoError(t, err)
	require.Equal(t, len(text), n)
}

func TestTail(t *testing.T) {
	t.Parallel()
	tail := NewTail(3)
	require.Empty(t, tail.Last(5))
	write(t, tail, "one\ntw")
	require.Equal(t, []string{"one", "tw"}, tail.Last(5))
	write(t, tail, "o\nthree\n")
	require.Equal(t, []string{"one", "two", "three"}, tail.Last(5))
	require.Equal(t, []string{"three"}, tail.Last(1))
	require.Empty(t, tail.Last(-1))
	lines, lost := tail.Since(1)
	require.Equal(t, []string{"two", "three"}, lines)
	require.Zero(t, lost)
	write(t, tail, "4\n5\n6\n7\n\x1b[31m50%\r\x1b[2J80%")
	lines, lost = tail.Since(3)
	require.Equal(t, []string{"5", "6", "7"}, lines)
	require.Equal(t, 1, lost)
	require.Equal(t, []string{"6", "7", "80%"}, tail.Last(3), "of what is written over, the last")
}

func TestTailOfALineWithoutEnd(t *testing.T) {
	t.Parallel()
	tail := NewTail(2)
	for i := range 100_000 {
		write(t, tail, fmt.Sprintf("\r%d%%", i))
	}
	require.LessOrEqual(t, len(tail.part), longestLine)
	require.Equal(t, []string{"99999%"}, tail.Last(2))
	write(t, tail, strings.Repeat("x", 1<<20))
	require.LessOrEqual(t, len(tail.part), longestLine)
}

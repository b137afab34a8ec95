package watch

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTail(t *testing.T) {
	t.Parallel()
	tail := newTail(3)
	require.Empty(t, tail.Last(5))
	tail.write([]byte("one\ntw"))
	require.Equal(t, []string{"one", "tw"}, tail.Last(5))
	tail.write([]byte("o\nthree\n"))
	require.Equal(t, []string{"one", "two", "three"}, tail.Last(5))
	require.Equal(t, []string{"three"}, tail.Last(1))
	require.Empty(t, tail.Last(-1))
	lines, lost := tail.Since(1)
	require.Equal(t, []string{"two", "three"}, lines)
	require.Zero(t, lost)
	tail.write([]byte("4\n5\n6\n7\n\x1b[31m50%\r\x1b[2J80%"))
	lines, lost = tail.Since(3)
	require.Equal(t, []string{"5", "6", "7"}, lines)
	require.Equal(t, 1, lost)
	require.Equal(t, []string{"6", "7", "80%"}, tail.Last(3), "of what is written over, the last")
}

func TestTailOfALineWithoutEnd(t *testing.T) {
	t.Parallel()
	tail := newTail(2)
	for i := range 100_000 {
		tail.write(fmt.Appendf(nil, "\r%d%%", i))
	}
	require.LessOrEqual(t, len(tail.part), longestLine)
	require.Equal(t, []string{"99999%"}, tail.Last(2))
	tail.write([]byte(strings.Repeat("x", 1<<20)))
	require.LessOrEqual(t, len(tail.part), longestLine)
}

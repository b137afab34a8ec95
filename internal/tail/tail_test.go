package tail

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTail(t *testing.T) {
	t.Parallel()
	var kept Tail
	write := func(text string) {
		n, err := kept.Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, len(text), n)
	}
	require.Nil(t, kept.Lines())
	write("one\ntw")
	write("o\n\xff\n")
	require.Equal(t, []string{"one", "two", "�"}, kept.Lines())
	for i := range 30 {
		write(fmt.Sprintf("%d\n", i))
	}
	require.Len(t, kept.Lines(), maxLines)
	require.Equal(t, "29", kept.Lines()[maxLines-1])
	write(strings.Repeat("x", 2*maxBytes))
	require.Equal(t, []string{strings.Repeat("x", maxBytes)}, kept.Lines())
	kept.Clear()
	require.Nil(t, kept.Lines())
}

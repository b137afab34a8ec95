package testenv_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

func TestFreePort(t *testing.T) {
	t.Parallel()
	given := map[int]bool{}
	for range 50 {
		port := testenv.FreePort(t)
		require.False(t, given[port], "given twice")
		given[port] = true
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		require.NoError(t, err)
		require.NoError(t, l.Close())
	}
}

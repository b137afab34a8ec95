//go:build linux

package diskspace

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

// TestReserve takes space on a small disk, and then more than there is.
func TestReserve(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(testenv.SmallDisk(t, 1<<20), "file"))
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteString("abc")
	require.NoError(t, err)
	require.NoError(t, Reserve(f, 512<<10))
	info, err := f.Stat()
	require.NoError(t, err)
	require.Equal(t, int64(512<<10), info.Size())
	require.GreaterOrEqual(t, info.Sys().(*syscall.Stat_t).Blocks, int64(512<<10/512), "no hole")
	data, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	require.Equal(t, append([]byte("abc"), make([]byte, 512<<10-3)...), data)

	err = Reserve(f, 2<<20)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, f.Name())
}

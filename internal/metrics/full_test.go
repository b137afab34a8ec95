//go:build linux

package metrics

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/testenv"
)

// TestFullDisk fills a small file system. Log must say so, and what it took
// before must be there.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := testenv.SmallDisk(t, 1<<20)
	l := openLog(t, memory.NewObjects(), dir, defaultLimits)
	w, err := l.NewWriter()
	require.NoError(t, err)
	logged := 0
	for ; ; logged++ {
		if err = w.Log("x", float64(logged), int64(logged), testTime); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, azml.ErrUnavailable)
	require.ErrorIs(t, err, unix.ENOSPC)
	require.Greater(t, logged, 10_000)
	require.Len(t, readAll(t, l), logged)
	require.NoError(t, w.Flush(t.Context()))
	_, err = os.Stat(l.spool.file(w.ID(), 0))
	require.ErrorIs(t, err, os.ErrNotExist) // shipped, so there is room again
	w.log.limits.spoolMax = 64 << 10
	require.NoError(t, w.Log("x", 1, 1, testTime))
	require.NoError(t, w.Close(t.Context()))
	require.Len(t, readAll(t, l), logged+1)
}

//go:build linux

package process_test

import (
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/process"
)

// BenchmarkExec is the floor: what os/exec takes to start and wait for a
// program that does nothing.
func BenchmarkExec(b *testing.B) {
	for b.Loop() {
		cmd := exec.Command("/bin/true")
		cmd.Env = []string{}
		require.NoError(b, cmd.Start())
		b.StopTimer()
		require.NoError(b, cmd.Wait())
		b.StartTimer()
	}
}

// BenchmarkStart is from the call to when the command runs.
func BenchmarkStart(b *testing.B) { benchmarkJob(b, true) }

// BenchmarkStartWait is from the call to when the end is known.
func BenchmarkStartWait(b *testing.B) { benchmarkJob(b, false) }

func benchmarkJob(b *testing.B, startOnly bool) {
	d, err := process.New(b.TempDir(), nil)
	require.NoError(b, err)
	for i := 0; b.Loop(); i++ {
		id := strconv.Itoa(i) + "-" + strconv.Itoa(os.Getpid())
		require.NoError(b, d.Start(b.Context(), backend.Job{ID: id, Command: []string{"/bin/true"}, Dir: "/"}))
		if startOnly {
			b.StopTimer()
		}
		_, err := d.Wait(b.Context(), id)
		require.NoError(b, err)
		if startOnly {
			b.StartTimer()
		}
	}
}

//go:build linux

package scoring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// growing is a script that takes so many MiB, a MiB at a time.
const growing = `
def grow(n):
    held = []
    for _ in range(n):
        held.append(bytearray(1 << 20))
    return len(held)
def init(): grow(%d)
def run(data): return grow(int(data))
`

// TestMemoryLimit: a script that wants more memory than its limit fails that request,
// and goes on with the next.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	limited := func(c *PythonConfig) { c.MaxMemory = 256 << 20 }
	p, log := startScript(t, fmt.Sprintf(growing, 1), limited)
	s := serve(t, options{MaxQueueWait: 20 * time.Second}, p)
	pid := p.PID()
	for range 3 {
		got := s.ask(t, "POST", "/score", "500")
		require.Equal(t, 500, got.status)
		require.JSONEq(t, `{"message": "The scoring script ran out of memory."}`, got.body)
		require.Equal(t, "True", got.header.Get(headerRunFailed))
		require.Equal(t, "10", s.ask(t, "POST", "/score", "10").body)
	}
	require.Equal(t, pid, p.PID(), "the worker goes on")
	require.Contains(t, log.String(), "Out of memory in run()")
	require.Contains(t, log.String(), "held.append(bytearray(1 << 20))")

	_, err := StartPython(t.Context(), PythonConfig{SourceDir: writeScript(t, fmt.Sprintf(growing, 500)), EntryScript: "score.py", Python: needPython(t), MaxMemory: 256 << 20})
	failed, ok := errors.AsType[*StartError](err)
	require.True(t, ok, err)
	require.Equal(t, PhaseInit, failed.Phase)
	require.Contains(t, failed.Exception, "out of memory")
}

// TestKilledForMemory: a worker that the system ends for want of memory is said to be.
func TestKilledForMemory(t *testing.T) {
	t.Parallel()
	p, _ := startScript(t, fmt.Sprintf(growing, 0), nil)
	group := filepath.Join("/sys/fs/cgroup/memory", "azml-test-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skip("control groups of memory can't be made here:", err)
	}
	t.Cleanup(func() {
		require.Eventually(t, func() bool { return os.Remove(group) == nil }, 20*time.Second, 10*time.Millisecond)
	})
	set := func(file, value string) error {
		return os.WriteFile(filepath.Join(group, file), []byte(value), 0o600)
	}
	if err := set("memory.limit_in_bytes", strconv.Itoa(64<<20)); err != nil {
		t.Skip("control groups of memory have no limit here:", err)
	}
	_ = set("memory.swappiness", "0") // swap is not everywhere
	require.NoError(t, set("cgroup.procs", strconv.Itoa(p.PID())))
	w, err := p.current()
	require.NoError(t, err)
	_, err = p.Score(t.Context(), &Request{Method: "POST", Body: []byte("500")})
	require.ErrorIs(t, err, errWorkerDied)
	<-w.exited
	require.Contains(t, w.fate(), "out of memory")
	require.Eventually(t, func() bool { return p.Ready() == nil }, 20*time.Second, time.Millisecond, "another one takes its place")
	next, err := p.current()
	require.NoError(t, err)
	next.late.Store(true)
	require.NoError(t, next.cmd.Process.Kill())
	<-next.exited
	require.Equal(t, "signal: killed", next.fate(), "nor is what we end ourselves")
}

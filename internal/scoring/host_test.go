//go:build unix

package scoring

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

// TestWorkerEndsWithItsHost: kill -9 of the hosting process ends the worker and
// its children, even while run() hangs.
func TestWorkerEndsWithItsHost(t *testing.T) {
	t.Parallel()
	t.Run("worker", func(t *testing.T) {
		t.Parallel()
		endsWithItsHost(t, needPython(t), "")
	})
	t.Run("inference server", func(t *testing.T) {
		t.Parallel()
		endsWithItsHost(t, testenv.InferenceServer(t), InferenceServer)
	})
}

func endsWithItsHost(t *testing.T, python, server string) {
	dir := writeScript(t, `
import os, subprocess, sys
def init(): pass
def run(data):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("child", child.pid)
    while True: pass
`)
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), hostVariable+"="+dir, hostPython+"="+python, hostServer+"="+server)
	out, err := host.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, host.Start())
	var worker, child int
	for lines := bufio.NewScanner(out); worker == 0 || child == 0; {
		require.True(t, lines.Scan(), "the host ended early")
		line := lines.Text()
		if pid, ok := strings.CutPrefix(line, "pid "); ok {
			worker, err = strconv.Atoi(pid)
		} else if _, pid, ok := strings.Cut(line, "child "); ok {
			child, err = strconv.Atoi(pid)
		}
		require.NoError(t, err, line)
	}
	require.NoError(t, host.Process.Kill())
	_ = host.Wait()
	for _, pid := range []int{worker, child} {
		require.Eventually(t, func() bool { return gone(pid) }, 10*time.Second, 10*time.Millisecond, "process %d outlived its host", pid)
	}
}

// gone says whether no process of that id runs; one that waits to be reaped
// doesn't run.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// TestDescriptorsAreGivenBack runs alone (not parallel), so the count is its own.
func TestDescriptorsAreGivenBack(t *testing.T) {
	script := writeScript(t, "import os\ndef init():\n  if os.path.exists('broken'): raise ValueError\ndef run(d): os._exit(1)\n")
	cfg := PythonConfig{SourceDir: script, EntryScript: "score.py", Python: needPython(t)}
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc/self/fd here")
		}
		return len(entries)
	}
	cycle := func() {
		p, err := StartPython(t.Context(), cfg)
		require.NoError(t, err)
		_, err = p.Score(t.Context(), &Request{Method: "POST"})
		require.ErrorIs(t, err, errWorkerDied)
		require.Eventually(t, func() bool { return p.Ready() == nil }, 20*time.Second, time.Millisecond)
		require.NoError(t, p.Close(t.Context()))
	}
	cycle()
	before := open()
	for range 3 {
		cycle()
	}
	require.NoError(t, os.WriteFile(filepath.Join(script, "broken"), nil, 0o600))
	for range 3 {
		_, err := StartPython(t.Context(), cfg)
		require.Error(t, err)
	}
	cfg.Python = "/no/such/python"
	_, err := StartPython(t.Context(), cfg)
	require.Error(t, err)
	require.Equal(t, before, open())
}

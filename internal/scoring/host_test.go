//go:build unix

package scoring

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hostVariable makes the test binary host the script in the folder it names
// and print the worker's process id, so that a test can kill the host;
// hostPython names the interpreter.
const (
	hostVariable = "AZML_TEST_SCORING_HOST"
	hostPython   = "AZML_TEST_SCORING_PYTHON"
)

func hostUntilKilled() {
	p, err := StartPython(context.Background(), PythonConfig{
		SourceDir: os.Getenv(hostVariable), EntryScript: "score.py", Log: os.Stdout, Python: os.Getenv(hostPython),
	})
	if err != nil {
		fmt.Println("failed:", err)
		return
	}
	fmt.Println("pid", p.PID())
	_, _ = p.Score(context.Background(), &Request{Method: "POST", Body: []byte("x")})
	select {}
}

// TestWorkerEndsWithItsHost: kill -9 of the hosting process ends the worker and
// its children, even while run() hangs.
func TestWorkerEndsWithItsHost(t *testing.T) {
	t.Parallel()
	dir := writeScript(t, `
import os, subprocess, sys
def init(): pass
def run(data):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("child", child.pid)
    while True: pass
`)
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), hostVariable+"="+dir, hostPython+"="+needPython(t))
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

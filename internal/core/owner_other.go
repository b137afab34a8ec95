//go:build !linux

package core

import (
	"os"
	"runtime"
	"syscall"
)

// bootID is not known here.
func bootID() string { return "" }

// pidNamespace is not known here.
func pidNamespace() string { return "" }

// startTime is not known here: a process ID that was given anew is taken for
// its former owner, and then only the missing heartbeat tells.
func startTime(int) uint64 { return 0 }

func alive(pid int, _ uint64) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	return runtime.GOOS == "windows" || process.Signal(syscall.Signal(0)) == nil
}

//go:build unix

package scoring

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup makes the worker lead a process group of its own, so that what the
// script starts ends with it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// passLifeline gives the worker the read end of a pipe whose closing tells it
// that this process is gone. It returns the descriptor's number there.
func passLifeline(cmd *exec.Cmd, read *os.File) *int {
	cmd.ExtraFiles = append(cmd.ExtraFiles, read)
	return new(2 + len(cmd.ExtraFiles))
}

func terminateGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGTERM) }

func killGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }

// killed tells whether a process was ended by SIGKILL.
func killed(state *os.ProcessState) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

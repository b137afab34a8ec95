//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// group gives a command a process group of its own, so that what it starts is
// interrupted with it: go run and go test don't hand an interrupt on.
func group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
}

// endGroup ends by force what is left of a command's group.
func endGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // none left is what is wanted
}

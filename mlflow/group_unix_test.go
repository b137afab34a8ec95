//go:build unix

package mlflow_test

import (
	"os/exec"
	"syscall"
)

// inOwnGroup puts the program and those that it starts into a group.
func inOwnGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killGroup kills all of the group.
func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

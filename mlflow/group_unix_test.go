//go:build unix

package mlflow_test

import (
	"os/exec"
	"syscall"
)

// ownGroup has the command start processes that can be killed together with it.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

//go:build unix

package pyenv

import (
	"os/exec"
	"syscall"
)

// ownGroup puts the command into its own process group, and lets the end of
// its context kill the group.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

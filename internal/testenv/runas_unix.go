//go:build unix

package testenv

import (
	"os/exec"
	"syscall"
)

// run makes a command one of the user.
func (as runAs) run(cmd *exec.Cmd) *exec.Cmd {
	if as.uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: as.uid, Gid: as.gid}}
	}
	return cmd
}

package pyenv

import (
	"os/exec"
	"strconv"
)

// ownGroup lets the end of the command's context kill it with all its
// children.
func ownGroup(cmd *exec.Cmd) {
	cmd.Cancel = func() error {
		kill := exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(cmd.Process.Pid))
		if kill.Run() != nil {
			return cmd.Process.Kill()
		}
		return nil
	}
}

//go:build !unix

package scoring

import (
	"os"
	"os/exec"
)

func ownGroup(*exec.Cmd) {}

// passLifeline does nothing: without it the worker notices that this process
// is gone when it next waits for a call.
func passLifeline(*exec.Cmd, *os.File) *int { return nil }

// terminateGroup does nothing: a closed request pipe already asks the worker
// to end, and there is no gentler signal here.
func terminateGroup(*os.Process) {}

func killGroup(p *os.Process) { _ = p.Kill() }

// killed is false: there is no signal that tells it.
func killed(*os.ProcessState) bool { return false }

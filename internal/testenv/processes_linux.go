package testenv

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// ProcessesAbout gives the processes, but for this one, that have one of the words among
// their arguments or variables. Empty words mean nothing.
func ProcessesAbout(words ...string) (pids []int) {
	words = slices.DeleteFunc(slices.Clone(words), func(word string) bool { return word == "" })
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		args, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		env, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if slices.ContainsFunc(words, func(word string) bool { return bytes.Contains(args, []byte(word)) || bytes.Contains(env, []byte(word)) }) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// KillProcessesAbout ends those processes as the end of their machine would: none sees
// another's end, and what would come to save the rest is ended, too.
func KillProcessesAbout(words ...string) {
	stopped := map[int]bool{}
	for again := true; again; {
		again = false
		for _, pid := range ProcessesAbout(words...) {
			if !stopped[pid] {
				_ = syscall.Kill(pid, syscall.SIGSTOP) // it may be gone
				stopped[pid], again = true, true
			}
		}
	}
	for pid := range stopped {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

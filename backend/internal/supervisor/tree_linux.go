package supervisor

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"syscall"
)

// prSetChildSubreaper is PR_SET_CHILD_SUBREAPER of prctl(2).
const prSetChildSubreaper = 36

// adoptOrphans makes this process the new parent of every descendant whose own
// parent dies.
func adoptOrphans() error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		return errno
	}
	return nil
}

// proc is one line of the process table.
type proc struct {
	pid, parent, group, session int
	birth                       uint64
	zombie                      bool
}

// jobGroups gives the process groups of all descendants of this process, which
// is a supervisor. A group never reaches beyond the job: the command began a
// session, and processes join groups of their own session only.
func jobGroups(int) []int {
	children := map[int][]proc{}
	for _, p := range processes() {
		children[p.parent] = append(children[p.parent], p)
	}
	self, own := os.Getpid(), syscall.Getpgrp()
	var groups []int
	for next := []int{self}; len(next) > 0; next = next[1:] {
		for _, p := range children[next[0]] {
			next = append(next, p.pid)
			if p.group != own && p.group > 1 { // a dying process shows 0 or -1
				groups = append(groups, p.group)
			}
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// SessionGroups gives the process groups of a session, unless the session is a
// later one of the same number.
func SessionGroups(leader int, birth uint64) []int {
	var groups []int
	for _, p := range processes() {
		if p.session != leader || p.group <= 1 || p.zombie {
			continue
		}
		if p.birth < birth || p.pid == leader && p.birth != birth {
			return nil
		}
		groups = append(groups, p.group)
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// processes reads the process table.
func processes() []proc {
	entries, _ := os.ReadDir("/proc")
	table := make([]proc, 0, len(entries))
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil { // no process
			continue
		}
		if p, ok := readProc(pid); ok {
			table = append(table, p)
		}
	}
	return table
}

// readProc reads /proc/<pid>/stat. The program's name in it may hold anything,
// so the fields are counted from its closing bracket.
func readProc(pid int) (p proc, ok bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return proc{}, false
	}
	f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(f) < 20 {
		return proc{}, false
	}
	p.pid = pid
	p.parent, _ = strconv.Atoi(string(f[1]))
	p.group, _ = strconv.Atoi(string(f[2]))
	p.session, _ = strconv.Atoi(string(f[3]))
	p.birth, _ = strconv.ParseUint(string(f[19]), 10, 64)
	p.zombie = f[0][0] == 'Z' || f[0][0] == 'X'
	return p, true
}

// birth gives the start time of a process, in ticks since the boot.
func birth(pid int) uint64 {
	p, _ := readProc(pid)
	return p.birth
}

// BootID names this run of the machine.
func BootID() string {
	data, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(bytes.TrimSpace(data))
}

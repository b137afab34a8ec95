package core

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// bootID tells one boot of the machine from the next (proc(5)).
func bootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// pidNamespace tells the process IDs of one container from another's
// (pid_namespaces(7)).
func pidNamespace() string {
	name, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return name
}

// startTime gives the process's start in clock ticks since boot, 0 when there
// is no such process (or only its zombie).
func startTime(pid int) uint64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The second field is the program's name in parentheses and may hold
	// anything; the others follow the last parenthesis (proc(5)).
	end := bytes.LastIndexByte(data, ')')
	fields := strings.Fields(string(data[end+1:]))
	const state, start = 0, 19
	if len(fields) <= start || fields[state] == "Z" || fields[state] == "X" {
		return 0
	}
	ticks, err := strconv.ParseUint(fields[start], 10, 64)
	if err != nil {
		return 0
	}
	return ticks
}

func alive(pid int, started uint64) bool {
	now := startTime(pid)
	return now != 0 && (started == 0 || now == started)
}

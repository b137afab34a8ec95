package supervisor

import "syscall"

// adoptOrphans does nothing: macOS has no subreapers.
func adoptOrphans() error { return nil }

// jobGroups gives the command's process group while it has members.
func jobGroups(pid int) []int {
	if syscall.Kill(-pid, 0) != nil {
		return nil
	}
	return []int{pid}
}

// SessionGroups is jobGroups: a group's number that was given anew can't be
// told from the old one here.
func SessionGroups(leader int, _ uint64) []int { return jobGroups(leader) }

// birth is not known.
func birth(int) uint64 { return 0 }

// BootID is not known; the lock alone tells that the machine was started anew.
func BootID() string { return "" }

package agent

import (
	"os"
	"strconv"
	"strings"
)

// killCounts are the files that say how many processes of a container the system has ended
// for want of memory, by the versions of control groups.
var killCounts = []string{"/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"}

// killedForMemory reads that number, 0 where nothing says it.
func killedForMemory() int {
	for _, file := range killCounts {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if number, ok := strings.CutPrefix(line, "oom_kill "); ok {
				n, _ := strconv.Atoi(strings.TrimSpace(number)) // 0 when it is none
				return n
			}
		}
	}
	return 0
}

package scoring

import (
	"os"
	"strconv"
	"strings"
)

// systemKills counts the processes that the system has ended so far because memory
// ran out, its own or that of a control group; 0 where it does not say.
func systemKills() int64 {
	text, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if count, ok := strings.CutPrefix(line, "oom_kill "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(count), 10, 64) // what can't be read counts for nothing
			return n
		}
	}
	return 0
}

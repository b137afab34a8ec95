package main

import (
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// cpuSeconds gives the CPU time that this process has used.
func cpuSeconds() float64 {
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(windows.CurrentProcess(), &created, &exited, &kernel, &user); err != nil {
		return 0
	}
	ticks := func(t windows.Filetime) int64 { return int64(t.HighDateTime)<<32 | int64(t.LowDateTime) }
	return time.Duration(100 * (ticks(kernel) + ticks(user))).Seconds()
}

// settleDisk does nothing: it would take the rights to open the volume.
func settleDisk() {}

// peakMemory gives 0: nothing here tells it.
func peakMemory(*os.ProcessState) float64 { return 0 }

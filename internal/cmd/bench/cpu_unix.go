//go:build unix

package main

import (
	"os"
	"runtime"
	"syscall"
	"time"
)

// cpuSeconds gives the CPU time that this process has used.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// settleDisk waits until what was written so far is on the disk.
func settleDisk() { syscall.Sync() }

// peakMemory gives the most memory that an ended process had at a time, in MB.
func peakMemory(p *os.ProcessState) float64 {
	u, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	unit := 1024e-6 // KiB; on Darwin bytes
	if runtime.GOOS == "darwin" {
		unit = 1e-6
	}
	return float64(u.Maxrss) * unit
}

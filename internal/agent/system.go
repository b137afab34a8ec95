package agent

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/mem"
)

const (
	// sampleEvery is the time between two samples of the machine.
	sampleEvery = 5 * time.Second
	// mostHeld is how many samples are held back at most for a client that may measure
	// the machine itself. MLflow's sends its first ones ten seconds after it has joined.
	mostHeld = 6
)

// SystemPrefix begins the names of what is measured of the machine.
const SystemPrefix = "system/"

// What is measured, under MLflow's names for it.
const (
	cpuPercentage    = "cpu_utilization_percentage"
	memoryMegabytes  = "system_memory_usage_megabytes"
	memoryPercentage = "system_memory_usage_percentage"
)

// IsSystemMetric tells whether a metric of that name is one that the agent measures of
// the machine, be it of a certain node.
func IsSystemMetric(name string) bool {
	rest, ok := strings.CutPrefix(name, SystemPrefix)
	if !ok {
		return false
	}
	switch path.Base(rest) {
	case cpuPercentage, memoryMegabytes, memoryPercentage:
		return true
	}
	return false
}

// Measuring says whether MLflow's clients of a script measure the machine themselves.
type Measuring int

// What is known of that.
const (
	// NotMeasuring says that none does.
	NotMeasuring Measuring = iota
	// MayMeasure says that one has joined the run a moment ago, and may begin to.
	MayMeasure
	// Measures says that one does.
	Measures
)

// sample is what was measured of the machine at a time, by name.
type sample struct {
	step   int64
	at     time.Time
	values map[string]float64
}

// sampleSystem logs how busy the machine is, under MLflow's names for system
// metrics: every five seconds and at the end, unless a client of the script does.
func (d *drive) sampleSystem(ended context.Context) {
	_, _ = cpu.Percent(0, false) // only begins the interval that the next call measures
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	var held []sample
	for step := int64(0); ; step++ {
		last := false
		select {
		case <-ticker.C:
		case <-ended.Done():
			last = true
		}
		by := d.measuring()
		if by == Measures {
			return
		}
		held = append(held, sample{step, d.h.Now(), measure()})
		if by == NotMeasuring || last || len(held) == mostHeld {
			d.logSamples(held)
			held = nil
		}
		if last {
			return
		}
	}
}

// measuring tells whether the script's clients measure the machine.
func (d *drive) measuring() Measuring {
	if d.tracking == nil || d.tracking.Measuring == nil {
		return NotMeasuring
	}
	return d.tracking.Measuring()
}

func measure() map[string]float64 {
	values := map[string]float64{}
	if percent, err := cpu.Percent(0, false); err == nil && len(percent) == 1 {
		values[cpuPercentage] = percent[0]
	}
	if memory, err := mem.VirtualMemory(); err == nil {
		values[memoryMegabytes] = float64(memory.Used) / 1e6
		values[memoryPercentage] = memory.UsedPercent
	}
	return values
}

func (d *drive) logSamples(samples []sample) {
	for _, s := range samples {
		for name, value := range s.values {
			if err := d.metrics.Log(d.systemName(name), value, s.step, s.at); err != nil {
				d.warn("system metric %s: %v", name, err)
			}
		}
	}
}

// systemName names what is measured of this node: of others than the first one as
// MLflow's clients name what they measure of a node.
func (d *drive) systemName(name string) string {
	if d.place.rank > 0 {
		return fmt.Sprintf("%snode_%d/%s", SystemPrefix, d.place.rank, name)
	}
	return SystemPrefix + name
}

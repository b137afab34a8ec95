package agent

import (
	"context"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/mem"
)

// sampleEvery is the time between two samples of the machine.
const sampleEvery = 5 * time.Second

// SystemPrefix begins the names of what is measured of the machine.
const SystemPrefix = "system/"

// sampleSystem logs how busy the machine is, under MLflow's names for system
// metrics: every five seconds and at the end.
func (d *drive) sampleSystem(ended context.Context) {
	_, _ = cpu.Percent(0, false) // only begins the interval that the next call measures
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for step := int64(0); ; step++ {
		select {
		case <-ticker.C:
			d.sample(step)
		case <-ended.Done():
			d.sample(step)
			return
		}
	}
}

func (d *drive) sample(step int64) {
	now := d.h.Now()
	log := func(name string, value float64) {
		if err := d.metrics.Log(SystemPrefix+name, value, step, now); err != nil {
			d.warn("system metric %s: %v", name, err)
		}
	}
	if percent, err := cpu.Percent(0, false); err == nil && len(percent) == 1 {
		log("cpu_utilization_percentage", percent[0])
	}
	if memory, err := mem.VirtualMemory(); err == nil {
		log("system_memory_usage_megabytes", float64(memory.Used)/1e6)
		log("system_memory_usage_percentage", memory.UsedPercent)
	}
}

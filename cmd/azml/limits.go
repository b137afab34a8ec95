package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/runconfig"
)

// limitFlags say what a run may use of its target.
type limitFlags struct {
	cpus                 float64
	memory, shared, gpus string
}

func (l *limitFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Float64Var(&l.cpus, "cpus", 0, "processors that a run may use, such as 1.5")
	f.StringVar(&l.memory, "memory", "", "memory that a run may use, such as 8g")
	f.StringVar(&l.shared, "shm-size", "", "size of /dev/shm, such as 2g")
	f.StringVar(&l.gpus, "gpus", "", `number of GPUs, or "all"`)
}

func (l *limitFlags) limits() (given backend.Limits, err error) {
	given.CPUs = l.cpus
	for flag, size := range map[string]struct {
		text string
		to   *int64
	}{"--memory": {l.memory, &given.Memory}, "--shm-size": {l.shared, &given.SharedMemory}} {
		if size.text == "" {
			continue
		}
		if *size.to, err = runconfig.ParseSize(size.text); err != nil {
			return given, usage("%s %q: use a size such as 512m or 8g", flag, size.text)
		}
	}
	if l.gpus != "" {
		if given.GPUs, err = runconfig.ParseGPUs(l.gpus); err != nil {
			return given, usage(`--gpus %q: use a number, or "all"`, l.gpus)
		}
	}
	return given, nil
}

// merge puts what the flags say over what is there.
func (l *limitFlags) merge(over *backend.Limits) error {
	given, err := l.limits()
	if err != nil {
		return err
	}
	over.CPUs, over.Memory = cmp.Or(given.CPUs, over.CPUs), cmp.Or(given.Memory, over.Memory)
	over.SharedMemory, over.GPUs = cmp.Or(given.SharedMemory, over.SharedMemory), cmp.Or(given.GPUs, over.GPUs)
	return nil
}

// limitsLine says the limits in one line, "" for none.
func limitsLine(l backend.Limits) string {
	var parts []string
	say := func(asked bool, format string, args ...any) {
		if asked {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	say(l.CPUs != 0, "%g CPUs", l.CPUs)
	say(l.Memory != 0, "%s of memory", size(l.Memory))
	say(l.SharedMemory != 0, "%s of shared memory", size(l.SharedMemory))
	say(l.GPUs > 0, "%d GPUs", l.GPUs)
	say(l.GPUs < 0, "all GPUs")
	return strings.Join(parts, ", ")
}

package runconfig

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
)

// DefaultShmSize is the size of /dev/shm that files have when nobody chose one.
const DefaultShmSize = "2g"

// Limits are what a container may use, as the arguments of docker run say. Zero is
// no limit.
type Limits struct {
	// CPUs is the number of processors.
	CPUs float64
	// Memory is in bytes.
	Memory int64
	// SharedMemory is the size of /dev/shm in bytes.
	SharedMemory int64
	// GPUs is the number of accelerators, -1 for all.
	GPUs int
}

// Limits gives what the run's container may use: shmSize, when it is not the default, and those
// of the arguments of docker run that say more. others are the arguments that say something
// else. Errors: ErrInvalid.
func (c *RunConfig) Limits() (l Limits, others []string, err error) {
	for _, size := range []string{c.Environment.Docker.ShmSize, c.Docker.ShmSize} {
		if size != "" && size != DefaultShmSize {
			if l.SharedMemory, err = ParseSize(size); err != nil {
				return l, nil, fmt.Errorf("docker.shmSize: %w", err)
			}
		}
	}
	for args := slices.Concat(c.Environment.Docker.Arguments, c.Docker.Arguments); len(args) > 0; {
		name, value, joined := strings.Cut(args[0], "=")
		used := 1
		if !joined && len(args) > 1 {
			value, used = args[1], 2
		}
		known, err := l.set(name, value)
		if err != nil {
			return l, nil, fmt.Errorf("docker.arguments: %w", err)
		}
		if !known {
			others, used = append(others, args[0]), 1
		}
		args = args[used:]
	}
	return l, others, nil
}

// set takes one argument of docker run, if it is one about a limit.
func (l *Limits) set(name, value string) (known bool, err error) {
	switch name {
	case "--cpus":
		l.CPUs, err = strconv.ParseFloat(value, 64)
		if err != nil || !(l.CPUs > 0) {
			err = fmt.Errorf("%w: --cpus %q: use a number such as 1.5", azml.ErrInvalid, value)
		}
	case "--memory", "-m":
		l.Memory, err = ParseSize(value)
	case "--shm-size":
		l.SharedMemory, err = ParseSize(value)
	case "--gpus":
		l.GPUs, err = ParseGPUs(value)
	default:
		return false, nil
	}
	return true, err
}

// SetLimits has the file say what the run's container may use.
func (c *RunConfig) SetLimits(l Limits) {
	say := func(asked bool, name, value string) {
		if asked {
			c.Docker.Arguments = append(c.Docker.Arguments, name, value)
		}
	}
	say(l.CPUs != 0, "--cpus", strconv.FormatFloat(l.CPUs, 'g', -1, 64))
	say(l.Memory != 0, "--memory", strconv.FormatInt(l.Memory, 10))
	gpus := "all"
	if l.GPUs > 0 {
		gpus = strconv.Itoa(l.GPUs)
	}
	say(l.GPUs != 0, "--gpus", gpus)
	if size := strconv.FormatInt(l.SharedMemory, 10); l.SharedMemory != 0 {
		c.Docker.ShmSize = size
	}
}

// ParseSize reads a size as Docker takes it: a number, with b, k, m or g for bytes
// and their powers of 1024. Errors: ErrInvalid.
func ParseSize(text string) (int64, error) {
	digits, unit := strings.ToLower(text), int64(1)
	for suffix, size := range map[string]int64{"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30} {
		if rest, ok := strings.CutSuffix(digits, suffix); ok {
			digits, unit = rest, size
			break
		}
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(n > 0) || n*float64(unit) > 1<<62 {
		return 0, fmt.Errorf("%w: size %q: use one such as 512m or 8g", azml.ErrInvalid, text)
	}
	return int64(n * float64(unit)), nil
}

// ParseGPUs reads a number of GPUs, -1 for "all". Errors: ErrInvalid.
func ParseGPUs(text string) (int, error) {
	if text == "all" {
		return -1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%w: %q GPUs: use a number, or \"all\"", azml.ErrInvalid, text)
	}
	return n, nil
}

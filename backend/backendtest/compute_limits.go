package backendtest

import (
	"errors"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// checkStartGiven has input of all kinds: with any bytes, as long as it may be,
// and for commands that do not read it.
func checkStartGiven(t TB, h ComputeHarness) {
	c := target{t, h}
	start := func(id, script, input string) {
		job := c.shell(id, script)
		job.Input = []byte(input)
		require.NoError(t, h.Compute.Start(t.Context(), job), id)
	}
	const odd = "line\nnul \x00 byte \xff, no newline"
	start("odd", "cat", odd)
	c.wait("odd")
	require.Equal(t, odd, c.output("odd"))
	long := strings.Repeat("0123456789abcdef", 4<<10)
	start("long", "cat", long)
	c.wait("long")
	require.Equal(t, long, c.output("long"))
	start("unread", "exit 5", long)
	require.Equal(t, 5, c.wait("unread").ExitCode)
	job := c.shell("longer", "cat")
	job.Input = make([]byte, len(long)+1)
	require.ErrorIs(t, h.Compute.Start(t.Context(), job), azml.ErrInvalid)
	_, err := h.Compute.Status(t.Context(), "longer")
	require.ErrorIs(t, err, azml.ErrNotFound)
}

// checkStartImage runs a job in the image that the harness names; without one,
// images are refused.
func checkStartImage(t TB, h ComputeHarness) {
	c := target{t, h}
	job := c.shell("a", "echo in; exit 3")
	if job.Image = h.Image; job.Image == "" {
		job.Image = "debian:stable-slim"
		require.ErrorIs(t, h.Compute.Start(t.Context(), job), azml.ErrUnsupported)
		_, err := h.Compute.Status(t.Context(), "a")
		require.ErrorIs(t, err, azml.ErrNotFound)
		return
	}
	require.NoError(t, h.Compute.Start(t.Context(), job))
	require.Equal(t, 3, c.wait("a").ExitCode)
	require.Equal(t, "in\n", c.output("a"))
	job = c.shell("b", "true")
	job.Image = "azml.invalid/no-such-image:0"
	require.Error(t, h.Compute.Start(t.Context(), job))
	_, err := h.Compute.Status(t.Context(), "b")
	require.ErrorIs(t, err, azml.ErrNotFound)
}

// checkStartLimits has a job that wants more memory than it may have; a target
// that can't hold it to that refuses each limit.
func checkStartLimits(t TB, h ComputeHarness) {
	c := target{t, h}
	if !h.Limits {
		for _, limits := range []backend.Limits{{CPUs: 0.5}, {Memory: 1 << 30}, {SharedMemory: 1 << 20}, {GPUs: 1}} {
			job := c.shell("a", "true")
			job.Limits = limits
			require.ErrorIs(t, h.Compute.Start(t.Context(), job), azml.ErrUnsupported, "%+v", limits)
			_, err := h.Compute.Status(t.Context(), "a")
			require.ErrorIs(t, err, azml.ErrNotFound)
		}
		return
	}
	const hungry = "head -c 400000000 /dev/zero | tail | wc -c; exit 0"
	job := c.shell("a", hungry)
	job.Limits = backend.Limits{CPUs: 0.5, Memory: 64 << 20}
	require.NoError(t, h.Compute.Start(t.Context(), job))
	s := c.wait("a")
	require.False(t, s.State == backend.JobExited && strings.TrimSpace(c.output("a")) == "400000000", "memory was not bounded: %+v", s)
	limiter, ok := backend.As[backend.Limiter](h.Compute)
	require.True(t, ok, "a target that holds jobs to limits tells beforehand whether it can")
	require.NoError(t, limiter.CheckLimits(t.Context(), job.Limits))
	for _, more := range []backend.Limits{{CPUs: 1 << 20}, {Memory: 1 << 60}, {GPUs: 1 << 20}} {
		err := limiter.CheckLimits(t.Context(), more)
		require.Equal(t, !h.Grows, errors.Is(err, azml.ErrUnsupported), "%+v: %v", more, err)
	}
	require.ErrorIs(t, limiter.CheckLimits(t.Context(), backend.Limits{Memory: -1}), azml.ErrInvalid)
	job = c.shell("b", "echo enough")
	job.Limits = backend.Limits{CPUs: 0.5, Memory: 64 << 20}
	require.NoError(t, h.Compute.Start(t.Context(), job))
	c.wait("b")
	require.Equal(t, "enough\n", c.output("b"))
}

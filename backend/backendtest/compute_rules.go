package backendtest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

func checkJobOrder(t TB, h ComputeHarness) {
	c := target{t, h}
	list := h.Compute.List(t.Context())
	require.Empty(t, collect(t, list))
	for _, id := range []string{"b", "a-b", "a.b", "B", "10", "9", "a"} {
		c.run(id, "exit 2")
	}
	var got []string
	for _, s := range collect(t, list) {
		got = append(got, s.ID)
		require.Equal(t, backend.JobExited, s.State)
		require.Equal(t, 2, s.ExitCode)
	}
	require.Equal(t, []string{"10", "9", "B", "a", "a-b", "a.b", "b"}, got)
	for s, err := range list {
		require.NoError(t, err)
		require.Equal(t, "10", s.ID)
		break
	}
}

func checkRemove(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", "exec sleep 1000")
	require.ErrorIs(t, h.Compute.Remove(t.Context(), "a"), azml.ErrConflict)
	s, err := h.Compute.Status(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, backend.JobRunning, s.State)
	c.cancel("a", 0)
	require.NoError(t, h.Compute.Remove(t.Context(), "a"))
	_, err = h.Compute.Status(t.Context(), "a")
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorIs(t, h.Compute.Remove(t.Context(), "a"), azml.ErrNotFound)
	require.Empty(t, collect(t, h.Compute.List(t.Context())))
}

func checkManyJobs(t TB, h ComputeHarness) {
	c := target{t, h}
	together(h.many(), func(i int) {
		ctx, stop := withTimeout(target{t, h})
		defer stop()
		id := fmt.Sprintf("job-%d", i)
		if !noError(t, h.Compute.Start(ctx, c.shell(id, fmt.Sprintf("echo %d; exit %d", i, i)))) {
			return
		}
		s, err := h.Compute.Wait(ctx, id)
		if noError(t, err) && s.ExitCode != i {
			t.Errorf("job %d ended with %+v", i, s)
		}
	})
	for i := range h.many() {
		require.Equal(t, fmt.Sprintln(i), c.output(fmt.Sprintf("job-%d", i)))
	}
}

func checkOneStarts(t TB, h ComputeHarness) {
	c := target{t, h}
	other := c.reopen()
	var won atomic.Int32
	together(8, func(i int) {
		on := []backend.Compute{h.Compute, other.Compute}[i%2]
		err := on.Start(t.Context(), c.shell("a", "echo x >> ran"))
		if err == nil {
			won.Add(1)
		} else if !errors.Is(err, azml.ErrExists) {
			t.Errorf("start of the same ID: %v", err)
		}
	})
	require.EqualValues(t, 1, won.Load())
	c.wait("a")
	require.Equal(t, "x\n", c.run("b", "cat ran"))
}

func checkComputeContext(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", "exec sleep 1000")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, h.Compute.Check(ctx), context.Canceled, "Check")
	require.ErrorIs(t, h.Compute.Start(ctx, c.shell("b", "true")), context.Canceled, "Start")
	_, err := h.Compute.Status(ctx, "a")
	require.ErrorIs(t, err, context.Canceled, "Status")
	_, err = h.Compute.Wait(ctx, "a")
	require.ErrorIs(t, err, context.Canceled, "Wait")
	_, err = h.Compute.Output(ctx, "a", &backend.OutputOptions{})
	require.ErrorIs(t, err, context.Canceled, "Output")
	require.ErrorIs(t, h.Compute.Cancel(ctx, "a", 0), context.Canceled, "Cancel")
	require.ErrorIs(t, h.Compute.Remove(ctx, "a"), context.Canceled, "Remove")
	require.ErrorIs(t, lastError(h.Compute.List(ctx)), context.Canceled, "List")
	_, err = h.Compute.Status(t.Context(), "b")
	require.ErrorIs(t, err, azml.ErrNotFound, "nothing was started")
	c.cancel("a", 0)
}

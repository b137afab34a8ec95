package backendtest

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// withTimeout gives the context of a call that works. A target says itself how long
// that may take.
func withTimeout(t TB) (context.Context, context.CancelFunc) {
	patience := ComputeHarness{}.soon()
	if c, ok := t.(target); ok {
		patience = c.soon()
	}
	return context.WithTimeout(t.Context(), patience)
}

func waitOn(t TB, c backend.Compute, id string) backend.JobStatus {
	t.Helper()
	ctx, stop := withTimeout(t)
	defer stop()
	s, err := c.Wait(ctx, id)
	require.NoError(t, err)
	require.Equal(t, id, s.ID)
	require.NotEqual(t, backend.JobRunning, s.State, "Wait returned while the job runs")
	return s
}

func outputOf(t TB, c backend.Compute, id string, opts backend.OutputOptions) string {
	t.Helper()
	ctx, stop := withTimeout(t)
	defer stop()
	r, err := c.Output(ctx, id, &opts)
	require.NoError(t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(data)
}

func checkOutputOrder(t TB, h ComputeHarness) {
	c := target{t, h}
	out := c.run("a", `i=0; while [ $i -lt 200 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done; printf tail`)
	lines := strings.Split(out, "\n")
	require.Len(t, lines, 401)
	require.Equal(t, []string{"out0", "err0", "out1"}, lines[:3])
	require.Equal(t, []string{"err199", "tail"}, lines[399:])
}

func checkOutputOffset(t TB, h ComputeHarness) {
	c := target{t, h}
	require.Equal(t, "0123456789", c.run("a", "printf 0123456789"))
	for offset, want := range map[int64]string{0: "0123456789", 4: "456789", 10: ""} {
		for _, follow := range []bool{false, true} {
			require.Equal(t, want, outputOf(c, h.Compute, "a", backend.OutputOptions{Offset: offset, Follow: follow}))
		}
	}
}

func checkOutputBig(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", "head -c 100000000 /dev/zero; printf end")
	r, stop := c.follow("a")
	defer stop()
	n, last, buf := 0, "", make([]byte, 1<<16)
	for {
		k, err := r.Read(buf)
		n += k
		last = (last + string(buf[max(0, k-3):k]))
		last = last[max(0, len(last)-3):]
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
	}
	require.Equal(t, 100_000_003, n)
	require.Equal(t, "end", last)
}

// checkOutputLive lets the job go on only when its first line was seen, and
// reads the second from the same reader: however slow the machine is, that can't
// have been there when it was opened.
func checkOutputLive(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", "echo first; until [ -e go ]; do sleep 0.02; done; echo second")
	r, stop := c.follow("a")
	defer stop()
	first := make([]byte, len("first\n"))
	_, err := io.ReadFull(r, first)
	require.NoError(t, err)
	require.Equal(t, "first\n", string(first))
	s, err := h.Compute.Status(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, backend.JobRunning, s.State)
	require.Equal(t, "first\n", c.output("a"), "what is there now")
	c.run("b", "touch go")
	rest, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "second\n", string(rest))
	require.Equal(t, "first\nsecond\n", outputOf(c, h.Compute, "a", backend.OutputOptions{Follow: true}))
}

func checkOutputReaders(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", "for i in 1 2 3 4 5; do echo $i; sleep 0.02; done")
	together(5, func(int) {
		ctx, stop := withTimeout(target{t, h})
		defer stop()
		r, err := h.Compute.Output(ctx, "a", &backend.OutputOptions{Follow: true})
		if !noError(t, err) {
			return
		}
		defer r.Close()
		data, err := io.ReadAll(r)
		if noError(t, err) && string(data) != "1\n2\n3\n4\n5\n" {
			t.Errorf("a reader got %q", data)
		}
	})
}

func checkWaitComplete(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", "sleep 0.3; echo done; exit 3")
	s := c.wait("a")
	require.Equal(t, "done\n", c.output("a"))
	require.Equal(t, 3, s.ExitCode)
	require.False(t, s.Ended.Before(s.Started))
	require.Less(t, time.Since(s.Started).Abs(), time.Hour)
	require.Equal(t, s, c.wait("a"), "waiting again")
}

func checkWaitContext(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", "exec sleep 1000")
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	_, err := h.Compute.Wait(ctx, "a")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	r, err := h.Compute.Output(ctx, "a", &backend.OutputOptions{Follow: true})
	if err == nil {
		_, err = r.Read(make([]byte, 1))
		r.Close()
	}
	require.ErrorIs(t, err, context.DeadlineExceeded, "follow")
	s, err := h.Compute.Status(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, backend.JobRunning, s.State, "the job outlives the waiting")
	c.cancel("a", 0)
}

// checkWaitLeftovers has the command end while others that it started run.
func checkWaitLeftovers(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", `sleep 1000 & echo $!; exit 4`)
	s := c.wait("a")
	require.Equal(t, backend.JobExited, s.State)
	require.Equal(t, 4, s.ExitCode)
	c.requireDead("a", strings.Fields(c.output("a"))...)
}

func checkReattachRunning(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", "echo first; until [ -e go ]; do sleep 0.02; done; echo second; exit 5")
	other := c.reopen()
	require.Equal(t, []string{"first"}, other.requireFields("a", 1))
	c.run("b", "touch go")
	s := other.wait("a")
	require.Equal(t, backend.JobExited, s.State)
	require.Equal(t, 5, s.ExitCode)
	require.Equal(t, "first\nsecond\n", other.output("a"))
	require.ErrorIs(t, other.Compute.Start(t.Context(), c.shell("a", "true")), azml.ErrExists)
}

func checkReattachEnded(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", "echo x; exit 6")
	want := c.wait("a")
	got := c.reopen().wait("a")
	require.Equal(t, want.ExitCode, got.ExitCode)
	require.Equal(t, want.State, got.State)
	require.True(t, want.Ended.Equal(got.Ended))
}

func checkReattachCancel(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", "sleep 1000 & echo $!; wait")
	pids := c.requireFields("a", 1)
	c.reopen().cancel("a", 0)
	require.Equal(t, backend.JobKilled, c.wait("a").State)
	c.requireDead("a", pids...)
}

func checkStarterKilled(t TB, h ComputeHarness) {
	if h.StartAndDie == nil {
		t.Logf("the harness has no second process")
		return
	}
	c := target{t, h}
	require.NoError(t, h.StartAndDie(t, c.shell("a", "echo first; until [ -e go ]; do sleep 0.02; done; echo second; exit 7")))
	require.Equal(t, []string{"first"}, c.requireFields("a", 1))
	c.run("b", "touch go")
	s := c.wait("a")
	require.Equal(t, backend.JobExited, s.State)
	require.Equal(t, 7, s.ExitCode)
	require.Equal(t, "first\nsecond\n", c.output("a"))
	require.NoError(t, h.StartAndDie(t, c.shell("c", "sleep 1000 & echo $! $$; wait")))
	pids := c.requireFields("c", 2)
	c.cancel("c", time.Second)
	c.requireDead("c", pids...)
}

// reopen gives the target as another process would open it; where that is not
// possible, the same.
func (c target) reopen() target {
	c.Helper()
	if c.Reopen == nil {
		return c
	}
	other, err := c.Reopen()
	require.NoError(c, err)
	c.Compute = other
	return c
}

package backendtest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

func checkCancelGraceful(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", `trap 'echo saved; exit 9' TERM; echo ready; while :; do sleep 0.02; done`)
	c.requireFields("a", 1)
	begun := time.Now()
	s := c.cancel("a", h.soon())
	require.Less(t, time.Since(begun), h.soon()/2, "the time was not needed")
	require.Contains(t, c.output("a"), "saved\n")
	if s.State == backend.JobExited {
		require.Equal(t, 9, s.ExitCode)
	}
}

// checkCancelGrace has a handler that needs most of its time.
func checkCancelGrace(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", `trap 'sleep 0.7; echo saved; exit 0' TERM; echo ready; while :; do sleep 0.02; done`)
	c.requireFields("a", 1)
	c.cancel("a", h.soon())
	require.Contains(t, c.output("a"), "saved\n")
}

func checkCancelIgnored(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", `trap '' TERM; echo $$; while :; do sleep 0.02; done`)
	pids := c.requireFields("a", 1)
	c.run("b", "sleep 0.4") // the time counts from the call, not from the start
	begun := time.Now()
	s := c.cancel("a", 300*time.Millisecond)
	require.GreaterOrEqual(t, time.Since(begun), 300*time.Millisecond, "force came before its time: %+v", s)
	require.Equal(t, backend.JobKilled, s.State)
	require.NotEmpty(t, s.Reason)
	c.requireDead("a", pids...)
}

func checkCancelChildren(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", `sh -c 'trap "" TERM; sleep 1000 & echo $! $$; wait' & sleep 1000 & echo $!; wait`)
	pids := c.requireFields("a", 3)
	c.cancel("a", 100*time.Millisecond)
	c.requireDead("a", pids...)
}

// checkCancelDaemon has a process that left the command's process group: it
// was forked twice, and where setsid(1) is there it has a session of its own.
func checkCancelDaemon(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", `(setsid=$(command -v setsid); $setsid sh -c 'trap "" TERM; echo $$; exec 0<&- 2>&- 1>&-; while :; do sleep 0.02; done' &) ; exec sleep 1000`)
	pids := c.requireFields("a", 1)
	c.cancel("a", 50*time.Millisecond)
	c.requireDead("a", pids...)
}

func checkCancelStopped(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", `sleep 1000 & echo $! $$; kill -STOP $!; kill -STOP $$`)
	pids := c.requireFields("a", 2)
	c.cancel("a", 50*time.Millisecond)
	c.requireDead("a", pids...)
	c.start("b", `trap 'echo saved; exit 0' TERM; echo $$; kill -STOP $$; while :; do sleep 0.02; done`)
	c.requireFields("b", 1)
	c.cancel("b", h.soon())
	require.Contains(t, c.output("b"), "saved", "a stopped process gets its chance")
}

// checkCancelForking ends a job whose processes start others all the time, and
// looks whether anything still writes.
func checkCancelForking(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", `trap '' TERM; n() { trap '' TERM; sleep 0.01; echo x >> beat; [ -e stop ] || n & }; n; n; n; echo ready; sleep 1000`)
	c.requireFields("a", 1)
	c.cancel("a", 50*time.Millisecond)
	require.Equal(t, "same\n", c.run("b", `a=$(wc -c < beat); sleep 0.3; [ "$a" = "$(wc -c < beat)" ] && echo same; touch stop`))
}

func checkCancelEnded(t TB, h ComputeHarness) {
	c := target{t, h}
	c.start("a", "exit 8")
	want := c.wait("a")
	require.Equal(t, want, c.cancel("a", 0), "nothing changed")
}

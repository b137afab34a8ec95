package backendtest

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
)

// ComputeHarness is a compute target under test. It has a POSIX shell at
// /bin/sh and the usual tools in /usr/bin and /bin.
type ComputeHarness struct {
	// Compute is the target, without jobs.
	Compute backend.Compute
	// Dir is a folder on the target that jobs can write to.
	Dir string
	// Reopen opens the same target anew, as another process would; the value
	// before stays in use. Nil when that is not possible.
	Reopen func() (backend.Compute, error)
	// StartAndDie starts the job from another process and kills that process
	// with SIGKILL once Start has returned. It gives Start's error. Nil when the
	// test has no such process.
	StartAndDie func(t TB, job backend.Job) error
	// Image is a container image with the shell and the tools, which the target
	// can run jobs in. Empty when it refuses images.
	Image string
	// Limits says that the target holds jobs to limits of processors and memory.
	// Else it must refuse all limits.
	Limits bool
	// Grows says that the target may come to have more than it has now, so that what
	// a job asks for is waited for, however much it is.
	Grows bool
	// Slow says that jobs take seconds to start: the suite is more patient, and has
	// fewer jobs at once.
	Slow bool
	// Codes says that the target is told exit codes alone: that of a death by a
	// signal is 128 and the signal's number, and what exits so counts as killed.
	Codes bool
	// Nodes is the greatest number of nodes that a job can have, 1 when zero; where it
	// Grows, one that the target has now. Jobs on all nodes see Dir.
	Nodes int
	// Alive gives those of a job's processes, by the numbers that it saw itself,
	// which still run. Nil where all jobs of the target see the same numbers.
	Alive func(t TB, id string, pids []string) []string
}

// Compute runs the suite for compute targets. It calls open for every check
// and runs checks in parallel. Each check cancels the jobs that it leaves.
func Compute(t *testing.T, open func(t *testing.T) ComputeHarness) {
	runGroups(t, computeGroups(), open)
}

func computeGroups() []group[ComputeHarness] {
	type checks = []check[ComputeHarness]
	return []group[ComputeHarness]{
		{"start", checks{{"check", checkComputeCheck}, {"missing things", checkStartMissing}, {"IDs", checkStartIDs}, {"same ID", checkStartTwice},
			{"standard input", checkStartInput}, {"folder", checkStartDir},
			{"input", checkStartGiven}, {"image", checkStartImage}, {"limits", checkStartLimits}}},
		{"exit", checks{{"codes", checkExitCodes}, {"signal", checkExitSignal}, {"unknown job", checkUnknownJob}}},
		{"environment", checks{{"exact", checkEnvironment}, {"arguments", checkArguments}, {"look-up", checkLookUp}}},
		{"output", checks{{"order", checkOutputOrder}, {"offset", checkOutputOffset}, {"big", checkOutputBig}, {"live", checkOutputLive}, {"readers", checkOutputReaders}}},
		{"wait", checks{{"for all", checkWaitComplete}, {"context", checkWaitContext}, {"left behind", checkWaitLeftovers}}},
		{"cancel", checks{{"gracefully", checkCancelGraceful}, {"time", checkCancelGrace}, {"ignored", checkCancelIgnored}, {"children", checkCancelChildren},
			{"daemons", checkCancelDaemon}, {"stopped", checkCancelStopped}, {"forking", checkCancelForking}, {"ended", checkCancelEnded}}},
		{"reattach", checks{{"running", checkReattachRunning}, {"ended", checkReattachEnded}, {"cancel", checkReattachCancel}, {"starter killed", checkStarterKilled}}},
		{"list", checks{{"order", checkJobOrder}}},
		{"remove", checks{{"rules", checkRemove}}},
		{"concurrency", checks{{"many jobs", checkManyJobs}, {"one wins", checkOneStarts}}},
		{"cancellation", checks{{"before the call", checkComputeContext}}},
		remoteGroup(),
		nodesGroup(),
	}
}

// target is a compute target whose calls must succeed.
type target struct {
	TB
	ComputeHarness
}

// soon is longer than anything takes that works.
func (h ComputeHarness) soon() time.Duration {
	if h.Slow {
		return 3 * time.Minute
	}
	return 30 * time.Second
}

// many is how many jobs there are at once where there are many.
func (h ComputeHarness) many() int {
	if h.Slow {
		return 8
	}
	return 50
}

// shell gives a job that runs a script.
func (c target) shell(id, script string) backend.Job {
	return backend.Job{ID: id, Command: []string{"/bin/sh", "-c", script}, Dir: c.Dir, Env: map[string]string{"PATH": "/usr/bin:/bin"}}
}

// start starts a script, which the check's end cancels.
func (c target) start(id, script string) {
	c.Helper()
	require.NoError(c, c.Compute.Start(c.Context(), c.shell(id, script)))
}

// wait gives the final status of the job, and fails when it does not end soon.
func (c target) wait(id string) backend.JobStatus {
	c.Helper()
	return waitOn(c, c.Compute, id)
}

func (c target) output(id string) string {
	c.Helper()
	return outputOf(c, c.Compute, id, backend.OutputOptions{})
}

// run runs a script to its end and gives what it wrote.
func (c target) run(id, script string) string {
	c.Helper()
	c.start(id, script)
	c.wait(id)
	return c.output(id)
}

// cancel ends a job and gives its final status.
func (c target) cancel(id string, grace time.Duration) backend.JobStatus {
	c.Helper()
	ctx, stop := withTimeout(c)
	defer stop()
	require.NoError(c, c.Compute.Cancel(ctx, id, grace))
	s, err := c.Compute.Status(ctx, id)
	require.NoError(c, err)
	require.NotEqual(c, backend.JobRunning, s.State, "Cancel returned while the job runs")
	return s
}

// requireLine waits until the running job has written n lines and gives the
// fields of all.
func (c target) requireFields(id string, n int) []string {
	c.Helper()
	r, stop := c.follow(id)
	defer stop()
	var got strings.Builder
	for buf := make([]byte, 1); len(strings.Fields(got.String())) < n || !strings.HasSuffix(got.String(), "\n"); {
		_, err := io.ReadFull(r, buf)
		require.NoError(c, err, "follow the output of %s after %q", id, got.String())
		got.Write(buf)
	}
	return strings.Fields(got.String())
}

func (c target) follow(id string) (io.ReadCloser, func()) {
	c.Helper()
	ctx, stop := withTimeout(c)
	r, err := c.Compute.Output(ctx, id, &backend.OutputOptions{Follow: true})
	require.NoError(c, err)
	return r, func() { r.Close(); stop() }
}

// requireDead says that the processes of the job are gone from the target.
func (c target) requireDead(id string, pids ...string) {
	c.Helper()
	if c.Alive != nil {
		require.Empty(c, c.Alive(c, id, pids), "processes of the job are left")
		return
	}
	script := fmt.Sprintf("for p in %s; do kill -0 $p 2>/dev/null && echo alive $p; done; true", strings.Join(pids, " "))
	require.Empty(c, c.run("probe-"+pids[0], script), "processes of the job are left")
}

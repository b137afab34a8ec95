package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// forking never ends by itself, and neither does a daemon that it starts.
const forking = `trap '' TERM
echo weights > outputs/model; echo own > logs/own.log
echo '{"name": "n", "value": 1, "step": 0}' >> "$AZML_METRICS_FILE"
(trap '' TERM; setsid sh -c 'trap "" TERM; echo begun; while :; do sleep 0.1; done' &)
while :; do sleep 0.1; done`

// beginForking submits that script and waits until its processes are there.
func (on target) beginForking(t *testing.T, ws *workspace.Workspace, s *site) *run.Run {
	t.Helper()
	r := on.begin(t, ws, forking, func(c *experiment.ScriptRunConfig) { c.Variables = map[string]string{"PLACE": s.shared} })
	hears(t, r, "begun\n")
	require.Eventually(t, func() bool { return series(t, r, "n", 0) == 1 }, time.Minute, 20*time.Millisecond, "what it logs is there")
	require.GreaterOrEqual(t, len(testenv.ProcessesAbout(s.shared)), 2)
	return r
}

func TestTargetCancel(t *testing.T) {
	t.Parallel()
	onEachHere(t, func(t *testing.T, on target) {
		ws, p, s := onSite(t, on)
		r := on.beginForking(t, ws, s)
		other, err := p.openFor(t).Runs().Get(t.Context(), r.ID(), nil) // as another process
		require.NoError(t, err)
		require.NoError(t, other.Cancel(t.Context(), &run.CancelOptions{Reason: "enough"}))
		require.ErrorIs(t, other.Wait(t.Context(), nil), azml.ErrCanceled)
		require.EqualValues(t, 1, series(t, r, "n", 0))
		s.requireNothing(t, r)
		clean(t, ws)
	})
}

func TestTargetAgentKilled(t *testing.T) {
	t.Parallel()
	onEachHere(t, func(t *testing.T, on target) {
		ws, _, s := onSite(t, on)
		r := on.beginForking(t, ws, s)
		require.NoError(t, syscall.Kill(agentOf(t, ws, r), syscall.SIGKILL))
		lost(t, ws, r, s, "killed by signal 9", "ended without finishing it")
		require.Equal(t, "weights\n", fileOf(t, r, "outputs/model"), "what it left is saved")
		require.Equal(t, "own\n", logOf(t, r, "logs/own.log"))
	})
}

// TestTargetAgentAsked asks the agent to end, as a machine does that is shut down.
func TestTargetAgentAsked(t *testing.T) {
	t.Parallel()
	onEachHere(t, func(t *testing.T, on target) {
		ws, _, s := onSite(t, on)
		r := on.beginForking(t, ws, s)
		require.NoError(t, syscall.Kill(agentOf(t, ws, r), syscall.SIGTERM))
		lost(t, ws, r, s, "was asked to end")
	})
}

// TestTargetMachineKilled kills all at once: agent, script, and what they run in.
func TestTargetMachineKilled(t *testing.T) {
	t.Parallel()
	onEachHere(t, func(t *testing.T, on target) {
		ws, _, s := onSite(t, on)
		r := on.beginForking(t, ws, s)
		s.kill(t, ws, r, on.detach)
		lost(t, ws, r, s, "killed", "is gone", "ended without finishing it")
	})
}

// lost waits for a run whose agent is gone: it fails with one of the reasons, what was taken is kept, and nothing is left.
func lost(t *testing.T, ws *workspace.Workspace, r *run.Run, s *site, reasons ...string) {
	t.Helper()
	require.ErrorIs(t, r.Wait(t.Context(), nil), azml.ErrFailed)
	reason, known := r.Details().Reason, false
	for _, one := range reasons {
		known = known || strings.Contains(reason, one)
	}
	require.True(t, known, "reason: %s", reason)
	require.EqualValues(t, 1, series(t, r, "n", 0), "what was taken is kept")
	require.Equal(t, "begun\n", outputOf(t, r))
	s.requireNothing(t, r)
	clean(t, ws)
}

// counting logs and prints a number ten times a second until the folder has "go". How far
// it is, the folder has, too.
const counting = `i=0; until [ -e "$PLACE/go" ]; do
echo "$i"; echo "{\"name\": \"n\", \"value\": $i, \"step\": $i}" >> "$AZML_METRICS_FILE"; i=$((i+1)); echo "$i" > "$PLACE/at"; sleep 0.1; done
echo "$i" > "$PLACE/done"`

// counted checks that all the script said has arrived, once and in order.
func counted(t *testing.T, r *run.Run, s *site) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.shared, "done"))
	require.NoError(t, err)
	var n int
	_, err = fmt.Sscan(string(data), &n)
	require.NoError(t, err)
	var want strings.Builder
	for i := range n {
		fmt.Fprintln(&want, i)
	}
	require.Equal(t, want.String(), outputOf(t, r))
	require.EqualValues(t, n, series(t, r, "n", 0))
}

// submitElsewhere has another process submit the script and gives the run.
func (on target) submitElsewhere(t *testing.T, ws *workspace.Workspace, p place, s *site, script string) (*run.Run, *worker) {
	t.Helper()
	config := shell(t, script)
	file, err := programs()
	require.NoError(t, err)
	w := start(t, errand{Name: "submit", Place: p, Dir: config.Source, Shared: s.shared, Program: file, Compute: on.compute, Detach: on.detach})
	require.True(t, w.lines.Scan(), w.stderr)
	r, err := ws.Runs().Get(t.Context(), w.lines.Text(), nil)
	require.NoError(t, err)
	return r, w
}

// TestTargetSubmitterKilled kills the process that has submitted a run, and with it
// the way from the agent to its workspace, where it is not a process of its own. The
// script goes on, and all is there when another process waits for the run.
func TestTargetSubmitterKilled(t *testing.T) {
	t.Parallel()
	onEachHere(t, func(t *testing.T, on target) {
		ws, p, s := onSite(t, on)
		r, w := on.submitElsewhere(t, ws, p, s, counting)
		hears(t, r, "1\n")
		require.NoError(t, w.cmd.Process.Kill())
		require.Error(t, w.cmd.Wait())
		time.Sleep(time.Second) // it logs meanwhile
		require.NoError(t, os.WriteFile(filepath.Join(s.shared, "go"), nil, 0o600))
		require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(s.shared, "done")); return err == nil }, time.Minute, 20*time.Millisecond, "the script goes on")
		if !on.detach {
			time.Sleep(time.Second)
			require.NoError(t, r.Refresh(t.Context()))
			require.False(t, r.Status().Terminal(), "nobody can know of its end")
			require.NoError(t, r.Wait(t.Context(), nil))
		}
		require.Eventually(t, func() bool { return r.Refresh(t.Context()) == nil && r.Status() == run.StatusCompleted }, time.Minute, 20*time.Millisecond, "it completes by itself")
		counted(t, r, s)
		s.requireNothing(t, r)
		clean(t, ws)
	})
}

// TestTargetCut has nothing get through between a run and its workspace for a
// minute: neither bytes nor the ends of connections.
func TestTargetCut(t *testing.T) {
	t.Parallel()
	cutFor := time.Duration(size(60, 3)) * time.Second
	onEachHere(t, func(t *testing.T, on target) {
		if on.compute == "" {
			t.Skip("its agent is on the machine with the workspace: there is nothing to cut")
		}
		ws, p, s := onSite(t, on)
		r, w := on.submitElsewhere(t, ws, p, s, counting)
		hears(t, r, "1\n")
		switch pid := w.cmd.Process.Pid; {
		case s.wire != nil:
			s.wire.Silence()
			time.AfterFunc(cutFor, s.wire.Heal)
		case on.detach:
			pid = keeperOf(t, p)
			fallthrough
		default:
			require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
			time.AfterFunc(cutFor, func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
		}
		time.Sleep(cutFor)
		require.NoError(t, os.WriteFile(filepath.Join(s.shared, "go"), nil, 0o600))
		w.finish(t)
		require.NoError(t, r.Wait(t.Context(), nil))
		counted(t, r, s)
		s.requireNothing(t, r)
		clean(t, ws)
	})
}

// TestTargetDiskFull has scripts fill the disk of the target, and runs begin on one that is full.
func TestTargetDiskFull(t *testing.T) {
	t.Parallel()
	const room = 160 << 20 // the program is there, too
	onEachHere(t, func(t *testing.T, on target) {
		ws, _, s := on.onSmallDisk(t, room)
		before := on.begin(t, ws, "true", nil) // puts there what all need
		require.NoError(t, before.Wait(t.Context(), nil))
		r := on.begin(t, ws, "echo begun; head -c 1G /dev/zero > outputs/all && exit 4; echo more; exit 3", nil)
		err := r.Wait(t.Context(), nil)
		require.ErrorIs(t, err, azml.ErrFailed)
		require.ErrorContains(t, err, "exit code 3")
		require.Contains(t, outputOf(t, r), "begun\n")
		s.requireNothing(t, r)

		empty := workspacetest.Fill(t, s.dirs[0])
		r, err = on.submit(t, ws, "true", nil)
		if err == nil {
			err = r.Wait(t.Context(), nil)
		}
		require.ErrorContains(t, err, "no space left on device")
		empty()
		after := on.begin(t, ws, "true", nil)
		require.NoError(t, after.Wait(t.Context(), nil))
		clean(t, ws)
	})
}

// TestOldJobsAreForgotten has a detached submit remove what the agents of long ended runs have left.
func TestOldJobsAreForgotten(t *testing.T) {
	t.Parallel()
	on := targets()[0]
	ws, p, _ := onSite(t, on)
	jobs := func() []string {
		found, err := filepath.Glob(filepath.Join(p.Cache, "jobs", "*", "agent-*"))
		require.NoError(t, err)
		return found
	}
	require.NoError(t, on.begin(t, ws, "true", nil).Wait(t.Context(), nil))
	requireNoJobs(t, ws)
	first := jobs()
	require.Len(t, first, 1)
	file := filepath.Join(first[0], "job.jsonl")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(data), `"ended":"20`)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(data), `"ended":"20`, `"ended":"19`, 1)), 0o600))
	require.NoError(t, on.begin(t, ws, "true", nil).Wait(t.Context(), nil))
	require.Len(t, jobs(), 1)
	require.NotEqual(t, first, jobs())
}

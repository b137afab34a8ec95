//go:build linux

package scheduler_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	azmlerrors "github.com/azml-go/azml"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/scheduler"
)

// TestRunsOnCluster submits more runs than there are nodes before anybody
// schedules.
func TestRunsOnCluster(t *testing.T) {
	t.Parallel()
	ws, _ := open(t, compute.Cluster{IdleBeforeScaleDown: time.Second}, 2)
	var runs []*run.Run
	for i := range 5 {
		runs = append(runs, submit(t, ws, "churn", fmt.Sprintf("echo run %d; mkdir -p outputs; echo %d >outputs/number", i, i), nil))
	}
	require.Equal(t, run.StatusQueued, runs[0].Status())
	require.Len(t, status(t, ws).Queue, 5)
	require.ErrorIs(t, ws.Compute().Delete(t.Context(), "pool", nil), azmlerrors.ErrConflict, "runs wait for it")
	canceled := submit(t, ws, "churn", "true", nil)
	require.NoError(t, canceled.Cancel(t.Context(), nil))
	require.NoError(t, canceled.Refresh(t.Context()))
	require.Equal(t, run.StatusCanceled, canceled.Status(), "what only waits is canceled at once")
	schedule(t, ws)
	for i, r := range runs {
		require.NoError(t, r.Wait(t.Context(), nil))
		log, err := r.Logs(t.Context(), &run.LogsOptions{Name: "user_logs/std_log.txt"})
		require.NoError(t, err)
		said := make([]byte, 100)
		n, _ := log.Read(said)
		require.NoError(t, log.Close())
		require.Equal(t, fmt.Sprintf("run %d\n", i), string(said[:n]))
	}
	eventually(t, ws, "the queue is empty and all nodes are stopped", func(s compute.ClusterStatus) bool {
		return len(s.Queue) == 0 && s.NodeStateCounts["off"] == 2 && s.AllocationState == compute.Steady
	})
	var placed []string
	for _, e := range status(t, ws).Events {
		require.NotEmpty(t, e.Reason)
		if strings.HasPrefix(e.What, "place ") {
			placed = append(placed, strings.Fields(e.What)[1])
		}
	}
	for _, r := range runs {
		require.Contains(t, placed, r.ID())
	}
	require.NoError(t, ws.Compute().Delete(t.Context(), "pool", nil))
	_, err := ws.Compute().Create(t.Context(), "pool", compute.Cluster{Members: []compute.Member{{Target: "node-a"}}}, nil)
	require.NoError(t, err)
	require.NoError(t, submit(t, ws, "churn", "true", nil).Wait(t.Context(), nil), "one of the same name is scheduled, too")
}

// TestSchedulerThatEnds leaves its place to the next one, which need not wait until nothing
// was heard of it for long.
func TestSchedulerThatEnds(t *testing.T) {
	t.Parallel()
	ws, dir := open(t, compute.Cluster{}, 1)
	long := scheduler.Options{Every: 20 * time.Millisecond, TakeOver: time.Hour}
	end := scheduleFor(t, ws, long)
	require.NoError(t, submit(t, ws, "first", "true", nil).Wait(t.Context(), nil))
	end()
	next, err := openPlace(t.Context(), dir)
	require.NoError(t, err)
	defer next.Close(t.Context())
	end = scheduleFor(t, next, long)
	ctx, stop := context.WithTimeout(t.Context(), soon)
	defer stop()
	require.NoError(t, submit(t, ws, "second", "true", nil).Wait(ctx, nil))
	end()
}

// TestRunsSayWhatTheyWaitFor, from before anybody schedules until they begin.
func TestRunsSayWhatTheyWaitFor(t *testing.T) {
	t.Parallel()
	ws, dir := open(t, compute.Cluster{}, 1)
	gate := filepath.Join(dir, "gate")
	first := submit(t, ws, "wait", "until [ -e "+gate+" ]; do sleep 0.05; done", nil)
	require.Contains(t, first.Details().WaitsFor, "azml scheduler")
	second := submit(t, ws, "wait", "true", nil)
	schedule(t, ws)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		require.NoError(t, second.Refresh(context.Background()))
		require.Equal(t, "nodes of pool: it needs a node: 0 free", second.Details().WaitsFor)
	}, soon, 50*time.Millisecond)
	require.NoError(t, first.Refresh(t.Context()))
	require.Empty(t, first.Details().WaitsFor)
	require.NoError(t, os.WriteFile(gate, nil, 0o600))
	require.NoError(t, second.Wait(t.Context(), nil))
	require.Empty(t, second.Details().WaitsFor)
}

// TestNodesAreStartedByCommands has machines that must be woken, one of which
// can't be.
func TestNodesAreStartedByCommands(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log")
	ws, _ := open(t, compute.Cluster{IdleBeforeScaleDown: time.Second, Members: []compute.Member{
		{Start: "echo no such machine >&2; exit 3"}, {Start: "echo woken >>" + log, Stop: "echo stopped >>" + log}}}, 2)
	t.Cleanup(scheduleFor(t, ws, patient))
	r := submit(t, ws, "churn", "true", nil)
	require.NoError(t, r.Wait(t.Context(), nil))
	eventually(t, ws, "stopped", func(s compute.ClusterStatus) bool { return s.NodeStateCounts["off"] == 1 })
	said, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Equal(t, "woken\nstopped\n", string(said))
	for _, n := range status(t, ws).Nodes {
		if n.NodeState == "unusable" {
			require.Contains(t, n.Reason, "no such machine")
		}
	}
}

// TestSchedulersThatAreKilled has schedulers killed again and again while runs wait
// and run, and two at a time: every run ends well, once.
func TestSchedulersThatAreKilled(t *testing.T) {
	t.Parallel()
	ws, dir := open(t, compute.Cluster{}, 3)
	ran := filepath.Join(dir, "ran")
	var runs []*run.Run
	for i := range 8 {
		runs = append(runs, submit(t, ws, fmt.Sprint("e", i%2), fmt.Sprintf("echo %d >>%s; sleep 0.2", i, ran), nil))
	}
	file, err := azml()
	require.NoError(t, err)
	begin := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), schedulerEnv+"="+dir, "AZML_TEST_PROGRAM="+file)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		require.NoError(t, cmd.Start())
		return cmd
	}
	kill := func(cmd *exec.Cmd) {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed
	}
	placements := func() int {
		n := 0
		for _, e := range status(t, ws).Events {
			if strings.HasPrefix(e.What, "place ") {
				n++
			}
		}
		return n
	}
	for round := range 3 {
		first, second := begin(), begin()
		before := placements()
		eventually(t, ws, "a placement in round "+fmt.Sprint(round), func(s compute.ClusterStatus) bool { return placements() > before || len(s.Queue) == 0 })
		kill(first)
		kill(second)
	}
	schedule(t, ws)
	for _, r := range runs {
		require.NoError(t, r.Wait(t.Context(), nil))
	}
	said, err := os.ReadFile(ran)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"0", "1", "2", "3", "4", "5", "6", "7"}, strings.Fields(string(said)), "every run ran once")
	eventually(t, ws, "nothing is left", func(s compute.ClusterStatus) bool { return len(s.Queue) == 0 && s.NodeStateCounts["running"] == 0 })
}

// TestDyingAtEveryWrite has schedulers killed at their first write, their second, and so
// on, before it is done or after, while runs wait, begin, run and end: none is lost, and
// none runs twice.
func TestDyingAtEveryWrite(t *testing.T) {
	t.Parallel()
	ws, dir := open(t, compute.Cluster{}, 2)
	ran := filepath.Join(dir, "ran")
	var runs []*run.Run
	for i := range 4 {
		runs = append(runs, submit(t, ws, fmt.Sprint("e", i%2), fmt.Sprintf("echo %d >>%s", i, ran), nil))
	}
	file, err := azml()
	require.NoError(t, err)
	for write := 1; write <= 14 && len(status(t, ws).Queue)+status(t, ws).NodeStateCounts["running"] > 0; write++ {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), schedulerEnv+"="+dir, "AZML_TEST_PROGRAM="+file, fmt.Sprint(dieEnv, "=", write))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		require.NoError(t, cmd.Start())
		require.Error(t, cmd.Wait(), "it is killed at the latest when it gives a sign of life")
		t.Logf("write %d: %v wait", write, len(status(t, ws).Queue))
	}
	schedule(t, ws)
	for _, r := range runs {
		require.NoError(t, r.Wait(t.Context(), nil))
	}
	said, err := os.ReadFile(ran)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"0", "1", "2", "3"}, strings.Fields(string(said)), "every run ran once")
	requireFree(t, ws)
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	ws, _ := open(t, compute.Cluster{}, 1)
	for name, c := range map[string]compute.Cluster{
		"no members":       {},
		"unknown priority": {Members: []compute.Member{{Target: "node-a"}}, Priority: "low"},
		"too small":        {Members: []compute.Member{{Target: "node-a"}}, MinNodes: 2, MaxNodes: 1},
		"too big":          {Members: []compute.Member{{Target: "node-a"}}, MaxNodes: 2},
		"local":            {Members: []compute.Member{{Target: "local"}}},
		"twice":            {Members: []compute.Member{{Target: "node-a"}, {Target: "node-a"}}},
		"itself":           {Members: []compute.Member{{Target: "pool"}}},
	} {
		_, err := ws.Compute().Create(t.Context(), "other", c, nil)
		require.ErrorIs(t, err, azmlerrors.ErrInvalid, name)
	}
	_, err := ws.Compute().Create(t.Context(), "other", compute.Cluster{Members: []compute.Member{{Target: "missing"}}}, nil)
	require.ErrorIs(t, err, azmlerrors.ErrNotFound)
	_, err = ws.Compute().Update(t.Context(), "pool", &compute.UpdateOptions{MaxNodes: new(5)})
	require.ErrorIs(t, err, azmlerrors.ErrInvalid)
	_, err = ws.Compute().Update(t.Context(), "node-a", nil)
	require.ErrorIs(t, err, azmlerrors.ErrInvalid)
	_, err = ws.Compute().Update(t.Context(), "pool", &compute.UpdateOptions{MinNodes: new(1)})
	require.NoError(t, err)
	require.Equal(t, 1, status(t, ws).MinNodes)
	require.ErrorIs(t, scheduler.Run(t.Context(), ws, &scheduler.Options{Clusters: []string{"node-a"}}), azmlerrors.ErrInvalid)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "churn", nil)
	require.NoError(t, err)
	_, err = exp.Submit(t.Context(), experiment.ScriptRunConfig{Source: t.TempDir(), Command: []string{"true"}, Compute: "pool", Priority: 1}, &experiment.SubmitOptions{RunID: "a b"})
	require.ErrorIs(t, err, azmlerrors.ErrInvalid)
	require.Empty(t, status(t, ws).Queue, "nothing is left of what was refused")
}

// TestExperimentsHaveTheirTurn has an experiment with few runs come after one with many:
// on real nodes it does not wait for their end.
func TestExperimentsHaveTheirTurn(t *testing.T) {
	t.Parallel()
	ws, _ := open(t, compute.Cluster{}, 2)
	var runs []*run.Run
	for range 6 {
		runs = append(runs, submit(t, ws, "early", "sleep 0.2", nil))
	}
	for range 2 {
		runs = append(runs, submit(t, ws, "late", "sleep 0.2", nil))
	}
	schedule(t, ws)
	for _, r := range runs {
		require.NoError(t, r.Wait(t.Context(), nil))
	}
	var order []string
	for _, e := range status(t, ws).Events {
		if id, is := strings.CutPrefix(e.What, "place "); is {
			name, _, _ := strings.Cut(id, "_")
			order = append(order, name)
		}
	}
	require.Len(t, order, len(runs))
	require.NotContains(t, order[len(order)-3:], "late", "%v", order)
}

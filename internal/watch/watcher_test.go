package watch_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/watch"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func start(t *testing.T, ws *workspace.Workspace) *run.Run {
	t.Helper()
	e, err := ws.Experiments().CreateOrUpdate(t.Context(), "e", nil)
	require.NoError(t, err)
	r, err := e.StartLogging(t.Context(), nil)
	require.NoError(t, err)
	return r
}

// eventually looks until the state is as it should be.
func eventually(t *testing.T, w *watch.Watcher, why string, is func(s *watch.State) bool) {
	t.Helper()
	require.Eventually(t, func() (ok bool) {
		w.Look(time.Now(), func(s *watch.State) { ok = is(s) })
		return ok
	}, 30*time.Second, 10*time.Millisecond, why)
}

func ended(t *testing.T, w *watch.Watcher) {
	t.Helper()
	select {
	case <-w.Ended():
	case <-time.After(30 * time.Second):
		t.Fatal("watching does not end")
	}
}

func TestWatchARunInProcess(t *testing.T) {
	t.Parallel()
	ws := workspacetest.Open(t)
	r := start(t, ws)
	require.NoError(t, r.LogParam(t.Context(), "epochs", 10))
	w := watch.Start(t.Context(), r, watch.Options{Lines: 5, Children: true})
	for i := range 5 {
		require.NoError(t, r.Log("loss", 1/float64(i+1), &run.LogOptions{Step: int64(i)}))
	}
	require.NoError(t, r.Log("loss", math.NaN(), &run.LogOptions{Step: 5}))
	require.NoError(t, r.Log("note", "text", nil))
	require.NoError(t, r.LogList("list", []int{1, 2}, nil))
	require.NoError(t, r.Log("system/cpu_utilization_percentage", 50, nil))
	eventually(t, w, "all is seen", func(s *watch.State) bool { return len(s.Metrics) == 3 && len(s.Machine()) == 1 })
	w.Look(time.Now(), func(s *watch.State) {
		require.Equal(t, []string{"list", "loss", "note"}, []string{s.Metrics[0].Name, s.Metrics[1].Name, s.Metrics[2].Name})
		loss := s.Metrics[1]
		require.Equal(t, []float64{0.2, 1}, []float64{loss.Min, loss.Max})
		require.Equal(t, []int64{6, 5, 1}, []int64{loss.Count, loss.Numbers, loss.NaNs})
		require.Equal(t, 5, loss.Trend.Len())
		require.Equal(t, 1.0, loss.First.Value)
		require.Equal(t, "text", s.Metrics[2].Last.Value)
		require.Equal(t, 10.0, s.Progress.Total)
		require.Equal(t, 6.0, s.Progress.Done)
		require.Equal(t, run.StatusRunning, s.Details.Status)
		require.Empty(t, s.Trouble)
	})
	child, err := r.Child(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, child.Complete(t.Context()))
	require.NoError(t, r.Log("late", 1, nil))
	require.NoError(t, r.Complete(t.Context()))
	ended(t, w)
	require.NoError(t, w.Err())
	w.Look(time.Now(), func(s *watch.State) {
		require.Equal(t, run.StatusCompleted, s.Details.Status)
		require.Equal(t, "late", s.Metrics[0].Name, "what was logged last is there at the end")
		require.Len(t, s.Children, 1)
		require.Equal(t, run.StatusCompleted, s.Children[0].Status)
	})
}

func TestWatchAScript(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("local compute needs Linux or macOS")
	}
	ws := workspacetest.Open(t)
	e, err := ws.Experiments().CreateOrUpdate(t.Context(), "e", nil)
	require.NoError(t, err)
	r, err := e.Submit(t.Context(), experiment.ScriptRunConfig{Source: t.TempDir(),
		Command: []string{"sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; printf end; exit 3"}}, nil)
	require.NoError(t, err)
	w := watch.Start(t.Context(), r, watch.Options{Lines: 3})
	ended(t, w)
	require.NoError(t, w.Err())
	w.Look(time.Now(), func(s *watch.State) {
		require.Equal(t, run.StatusFailed, s.Details.Status)
		require.Equal(t, []string{"line 4", "line 5", "end"}, s.Output.Last(3))
		require.NotEmpty(t, s.Machine())
	})
}

func TestPickedMetrics(t *testing.T) {
	t.Parallel()
	ws := workspacetest.Open(t)
	r := start(t, ws)
	for _, name := range []string{"a/loss", "b/loss", "acc", "system/x_percentage"} {
		require.NoError(t, r.Log(name, 1, nil))
	}
	require.NoError(t, r.Complete(t.Context()))
	w := watch.Start(t.Context(), r, watch.Options{Pick: func(name string) bool { return strings.Contains(name, "/") }})
	ended(t, w)
	w.Look(time.Now(), func(s *watch.State) {
		require.Len(t, s.Metrics, 3)
		require.Empty(t, s.Machine(), "it was picked")
	})
}

func TestRunIsDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ws, other := workspacetest.Reopen(t, dir), workspacetest.Reopen(t, dir)
	r := start(t, ws)
	require.NoError(t, r.Log("loss", 1, nil))
	seen, err := other.Runs().Get(t.Context(), r.ID(), nil)
	require.NoError(t, err)
	require.NoError(t, r.Complete(t.Context()))
	require.NoError(t, ws.Runs().Delete(t.Context(), r.ID(), nil))
	w := watch.Start(t.Context(), seen, watch.Options{Lines: 3, Children: true})
	ended(t, w)
	require.ErrorIs(t, w.Err(), azml.ErrNotFound)
	require.ErrorContains(t, w.Err(), "deleted while it was watched")
}

func TestWatchingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := start(t, workspacetest.Open(t))
	ctx, cancel := context.WithCancel(t.Context())
	w := watch.Start(ctx, r, watch.Options{Lines: 3, Children: true})
	eventually(t, w, "it runs", func(s *watch.State) bool { return s.Details.Status == run.StatusRunning })
	cancel()
	ended(t, w)
	require.ErrorIs(t, w.Err(), context.Canceled)
	require.NoError(t, r.Complete(t.Context()), "the run is not touched")
}

func TestManyMetrics(t *testing.T) {
	t.Parallel()
	const names = 10_000
	r := start(t, workspacetest.Open(t))
	for i := range names {
		require.NoError(t, r.Log(fmt.Sprintf("layer/%05d/norm", i), float64(i), nil))
	}
	require.NoError(t, r.Complete(t.Context()))
	w := watch.Start(t.Context(), r, watch.Options{})
	ended(t, w)
	w.Look(time.Now(), func(s *watch.State) {
		require.Len(t, s.Metrics, names)
		require.Equal(t, "layer/00000/norm", s.Metrics[0].Name)
	})
}

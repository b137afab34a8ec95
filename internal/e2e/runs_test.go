package e2e

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

const pointsPerRun = 1000

// oneRun logs a whole run: two series, a list, a table, a parameter and a tag.
func oneRun(ctx context.Context, exp *experiment.Experiment, tag string) (*run.Run, error) {
	return exp.Run(ctx, func(ctx context.Context, r *run.Run) error {
		for step := range int64(pointsPerRun) {
			at := &run.LogOptions{Step: step}
			if err := errors.Join(r.Log("loss", float64(step)/2, at), r.Log("count", step, at)); err != nil {
				return err
			}
		}
		return errors.Join(r.LogList("sizes", []int{1, 2, 3}, nil), r.LogTable("t", map[string]any{"a": []int{1, 2}}, nil),
			r.LogParam(ctx, "lr", 0.1), r.Tag(ctx, "who", tag))
	}, nil)
}

func logManyRuns(ctx context.Context, ws *workspace.Workspace, e errand, ack func(string, ...any)) error {
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "many", nil)
	if err != nil {
		return err
	}
	for i := range e.Count {
		tag := fmt.Sprintf("%d.%d", e.Worker, i)
		r, err := oneRun(ctx, exp, tag)
		if err != nil {
			return err
		}
		ack("%s %d %s", r.ID(), r.Number(), tag)
	}
	return nil
}

func TestRunsAtOnce(t *testing.T) {
	t.Parallel()
	for _, faults := range []bool{false, true} {
		t.Run(fmt.Sprintf("faults %v", faults), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			ws := p.open(t)
			const processes = 16
			e := errand{Name: "runs", Place: p, Count: size(4, 1), Faults: faults}
			if faults {
				e.Count = size(2, 1)
			}
			lines := all(t, processes, e)
			require.Len(t, lines, processes*e.Count)
			checkRuns(t, ws, lines, !faults)
			clean(t, ws)
		})
	}
}

// checkRuns checks that every acknowledged run is there whole, under its number.
func checkRuns(t *testing.T, ws *workspace.Workspace, lines []string, gapless bool) {
	t.Helper()
	numbers := map[int]bool{}
	for _, line := range lines {
		fields := strings.Fields(line)
		number, err := strconv.Atoi(fields[1])
		require.NoError(t, err)
		require.False(t, numbers[number], "number %d was given twice", number)
		numbers[number] = true
		r, err := ws.Runs().Get(t.Context(), fields[0], nil)
		require.NoError(t, err)
		require.Equal(t, run.StatusCompleted, r.Status())
		require.Equal(t, number, r.Number())
		require.Equal(t, fields[2], r.Details().Tags["who"])
		require.Equal(t, "0.1", r.Details().Params["lr"])
		checkPoints(t, r)
	}
	if gapless {
		for n := 1; n <= len(lines); n++ {
			require.True(t, numbers[n], "no run has number %d", n)
		}
	}
	listed := 0
	for _, err := range ws.Runs().List(t.Context(), &run.ListOptions{Experiment: "many"}) {
		require.NoError(t, err)
		listed++
	}
	require.Equal(t, len(lines), listed)
}

// checkPoints checks every point of a run that oneRun logged.
func checkPoints(t *testing.T, r *run.Run) {
	t.Helper()
	steps := map[string]int64{}
	others := 0
	for m, err := range r.Metrics(t.Context(), nil) {
		require.NoError(t, err)
		if m.Name != "loss" && m.Name != "count" {
			others++
			continue
		}
		require.Equal(t, steps[m.Name], m.Step, "series %s", m.Name)
		steps[m.Name]++
		value, ok := m.Number()
		require.True(t, ok)
		if m.Name == "loss" {
			value *= 2
		}
		require.Equal(t, float64(m.Step), value)
	}
	require.Equal(t, map[string]int64{"loss": pointsPerRun, "count": pointsPerRun}, steps)
	require.Equal(t, 2, others)
}

// together calls do for 0 … n-1 at once and joins the errors.
func together(n int, do func(i int) error) error {
	var all sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		all.Go(func() { errs[i] = do(i) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func TestRunsOfManyGoroutines(t *testing.T) {
	t.Parallel()
	ws := newPlace(t).open(t)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "many", nil)
	require.NoError(t, err)
	goroutines := size(32, 8)
	lines := make([]string, goroutines)
	require.NoError(t, together(goroutines, func(i int) error {
		r, err := oneRun(t.Context(), exp, strconv.Itoa(i))
		if err == nil {
			lines[i] = fmt.Sprintf("%s %d %d", r.ID(), r.Number(), i)
		}
		return err
	}))
	checkRuns(t, ws, lines, true)
	clean(t, ws)
}

// logToRun logs a series to a run that another process has started.
func logToRun(ctx context.Context, ws *workspace.Workspace, e errand, ack func(string, ...any)) error {
	r, err := ws.Runs().Get(ctx, e.Run, nil)
	if err != nil {
		return err
	}
	for step := range int64(e.Count) {
		if err := r.Log(fmt.Sprintf("worker-%d", e.Worker), float64(step), &run.LogOptions{Step: step}); err != nil {
			return err
		}
	}
	ack("logged")
	return r.Tag(ctx, fmt.Sprintf("worker-%d", e.Worker), "done")
}

func TestRunLoggedToByManyProcesses(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ws := p.open(t)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "shared", nil)
	require.NoError(t, err)
	r, err := exp.StartLogging(t.Context(), nil)
	require.NoError(t, err)
	const processes = 4
	all(t, processes, errand{Name: "log", Place: p, Run: r.ID(), Count: pointsPerRun})
	require.NoError(t, r.Complete(t.Context()))
	sums, err := r.Summaries(t.Context())
	require.NoError(t, err)
	for i := range processes {
		require.EqualValues(t, pointsPerRun, sums[fmt.Sprintf("worker-%d", i)].Count)
	}
	require.NoError(t, r.Refresh(t.Context()))
	require.Len(t, r.Details().Tags, processes)
	clean(t, ws)
}

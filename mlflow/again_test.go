package mlflow_test

import (
	"errors"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/mlflow"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func doImport(t *testing.T, ws *workspace.Workspace, uri string, opts *mlflow.ImportOptions) *mlflow.Imported {
	t.Helper()
	done, err := mlflow.Import(t.Context(), ws, uri, opts)
	require.NoError(t, err)
	return done
}

func get(t *testing.T, ws *workspace.Workspace, id string) *run.Run {
	t.Helper()
	r, err := ws.Runs().Get(t.Context(), id, nil)
	require.NoError(t, err)
	return r
}

// steps gives the sorted steps of the values of a metric.
func steps(t *testing.T, r *run.Run, name string) []int {
	t.Helper()
	var found []int
	for m, err := range r.Metrics(t.Context(), &run.MetricsOptions{Names: []string{name}}) {
		require.NoError(t, err)
		found = append(found, int(m.Step))
	}
	slices.Sort(found)
	return found
}

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func sound(t *testing.T, ws *workspace.Workspace) {
	t.Helper()
	report, err := ws.Fsck(t.Context(), nil)
	require.NoError(t, err)
	require.True(t, report.Clean(), "%v", report.Problems)
}

func TestTimesAndNumbersAreKept(t *testing.T) {
	t.Parallel()
	s, ws := newHandmade(t), open(t)
	s.run(1, finished)
	s.run(0, finished)
	for n := range 2 {
		require.NoError(t, os.MkdirAll(filepath.Join(s.dir, filepath.FromSlash(s.of(n, "artifacts"))), 0o755))
	}
	require.Empty(t, doImport(t, ws, s.dir, nil).LeftOut, "a run without artifacts lacks none")
	first, second := get(t, ws, runID(0)).Details(), get(t, ws, runID(1)).Details()
	require.Equal(t, 1, first.Number, "numbers follow the times at which runs began")
	require.Equal(t, 2, second.Number)
	require.Equal(t, time.UnixMilli(1600000000000).UTC(), first.Created)
	require.Equal(t, time.UnixMilli(1600000000000).UTC(), first.Started)
	require.Equal(t, time.UnixMilli(1600000100000).UTC(), first.Ended)
	require.Equal(t, run.StatusCompleted, first.Status)
	require.Equal(t, map[string]string{"lr": "0.1"}, first.Params)
	exp, err := ws.Experiments().Get(t.Context(), first.Experiment, nil)
	require.NoError(t, err)
	require.Equal(t, time.UnixMilli(1600000000000).UTC(), exp.Details().Created)
	require.Equal(t, map[string]string{"team": "risk"}, exp.Details().Tags)
	sound(t, ws)
}

// A run of which MLflow knows no start and no user shows those of the import,
// which says so.
func TestRunsWithoutAStartAndAUser(t *testing.T) {
	t.Parallel()
	s, ws := newHandmade(t), open(t)
	s.write(s.of(0, "meta.yaml"), "run_id: "+runID(0)+"\nstart_time: 0\nend_time: 0\nstatus: 3\nuser_id: ''\nlifecycle_stage: active\n")
	require.NoError(t, os.MkdirAll(filepath.Join(s.dir, filepath.FromSlash(s.of(0, "artifacts"))), 0o755))
	s.run(1, finished)
	s.artifact(1, "a", "one")
	for range 2 { // the second passes it over
		require.Equal(t, map[string][]string{
			"start times of runs that have none: that of the import is shown": {runID(0)},
			"users of runs that have none: who imports is shown":              {runID(0)},
		}, doImport(t, ws, s.dir, nil).LeftOutNames)
	}
}

// A run that goes on in MLflow gets what has come since, whether it came at the
// end or in between.
func TestImportAgainAddsWhatHasCome(t *testing.T) {
	t.Parallel()
	s, ws := newHandmade(t), open(t)
	s.run(0, running)
	s.metric(0, "loss", 10, 10)
	s.metric(0, "same", 0, 5)
	s.artifact(0, "a", "one")
	require.EqualValues(t, 15, doImport(t, ws, s.dir, nil).Values)
	r := get(t, ws, runID(0))
	require.Equal(t, run.StatusRunning, r.Status())

	s.metric(0, "loss", 20, 5)
	s.artifact(0, "b", "two")
	done := doImport(t, ws, s.dir, nil)
	require.EqualValues(t, 5, done.Values)
	require.EqualValues(t, 1, done.Files)
	require.EqualValues(t, 1, done.Runs.Completed)

	// As if these had been first: the store is written anew in another order.
	s.write(s.of(0, "metrics/loss"), "")
	s.metric(0, "loss", 0, 30)
	s.run(0, finished)
	done = doImport(t, ws, s.dir, nil)
	require.EqualValues(t, 15, done.Values)
	require.Empty(t, done.Conflicts)
	require.Equal(t, numbers(30), steps(t, r, "loss"))
	require.Equal(t, numbers(5), steps(t, r, "same"))
	require.NoError(t, r.Refresh(t.Context()))
	require.Equal(t, run.StatusCompleted, r.Status())
	require.EqualValues(t, 1, doImport(t, ws, s.dir, nil).Runs.Unchanged)

	ended := r.Details()
	s.metric(0, "loss", 30, 5) // somebody has logged to it after its end
	require.EqualValues(t, 5, doImport(t, ws, s.dir, nil).Values)
	require.Equal(t, numbers(35), steps(t, r, "loss"))
	require.NoError(t, r.Refresh(t.Context()))
	require.Equal(t, ended.History, r.Details().History)
	require.Equal(t, ended.Ended, r.Details().Ended)
	sound(t, ws)
}

// Values that are the same as others of their metric are kept as often as they
// were logged, and never oftener.
func TestEqualValues(t *testing.T) {
	t.Parallel()
	s, ws := newHandmade(t), open(t)
	s.run(0, running)
	s.write(s.of(0, "metrics/m"), strings.Repeat("1600000001000 nan 1\n", 3)+"1600000001000 inf 1\n1600000001000 -inf 1\n1600000001000 0.5\n1600000001000 -0.0 1\n")
	require.EqualValues(t, 7, doImport(t, ws, s.dir, nil).Values)
	s.write(s.of(0, "metrics/m"), "1600000001000 7 1\n"+strings.Repeat("1600000001000 nan 1\n", 4)+"1600000001000 cut of")
	require.EqualValues(t, 2, doImport(t, ws, s.dir, nil).Values)
	var nans, infinite int
	for m, err := range get(t, ws, runID(0)).Metrics(t.Context(), nil) {
		require.NoError(t, err)
		if v, _ := m.Number(); math.IsNaN(v) {
			nans++
		} else if math.IsInf(v, 0) {
			infinite++
		}
	}
	require.Equal(t, 4, nans)
	require.Equal(t, 2, infinite)
}

func TestWhatDiffersIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	s, ws := newHandmade(t), open(t)
	s.run(0, finished)
	s.artifact(0, "grown", "one")
	s.artifact(0, "other", "two")
	doImport(t, ws, s.dir, nil)
	r := get(t, ws, runID(0))
	require.NoError(t, r.Update(t.Context(), run.Update{SetTags: map[string]string{"mine": "1"}}))

	s.write(s.of(0, "params/lr"), "0.2")
	s.write(s.of(0, "params/new"), "x")
	s.write(s.of(0, "tags/mine"), "2")
	s.write(experimentID+"/tags/team", "growth")
	s.artifact(0, "grown", "one more")
	s.artifact(0, "other", "tww")
	done := doImport(t, ws, s.dir, &mlflow.ImportOptions{Verify: true})
	var about []string
	for _, c := range done.Conflicts {
		about = append(about, c.Kind+" "+c.Reason)
	}
	slices.Sort(about)
	require.Len(t, about, 5)
	require.Contains(t, about[0], "experiment tag \"team\"")
	require.Contains(t, about[1], "file it has 3 bytes")
	require.Contains(t, about[2], "file it has another content")
	require.Contains(t, about[3], "run parameter \"lr\"")
	require.Contains(t, about[4], "run tag \"mine\"")
	require.NoError(t, r.Refresh(t.Context()))
	require.Equal(t, map[string]string{"lr": "0.1", "new": "x"}, r.Details().Params)
	require.Equal(t, "1", r.Details().Tags["mine"])
	require.Equal(t, run.StatusCompleted, r.Status())
}

// An ID that became a name is no experiment of that name.
func TestIDsThatAreNames(t *testing.T) {
	t.Parallel()
	s, ws := newHandmade(t), open(t)
	s.run(0, finished)
	s.write("7/meta.yaml", "experiment_id: '7'\nname: '42'\nlifecycle_stage: active\n")
	s.write("7/abc/meta.yaml", "run_id: abc\nstatus: 3\nstart_time: 1600000000000\nend_time: 1600000000001\nlifecycle_stage: active\n")
	done := doImport(t, ws, s.dir, nil)
	require.EqualValues(t, 1, done.LeftOut["IDs of experiments that other experiments have here"], "42 is a name")
	require.Equal(t, "42", get(t, ws, "abc").ExperimentName())
	require.NotEqual(t, "42", get(t, ws, runID(0)).ExperimentName())
	byID, err := ws.Experiments().Get(t.Context(), "7", nil)
	require.NoError(t, err)
	require.Equal(t, "42", byID.Name())

	s.write("8/meta.yaml", "experiment_id: '8'\nname: '7'\nlifecycle_stage: active\n")
	done = doImport(t, ws, s.dir, nil)
	require.Len(t, done.Conflicts, 1)
	require.Equal(t, "7", done.Conflicts[0].Name)
	sound(t, ws)
}

// A run that was taken up again here goes on, whatever it is in MLflow.
func TestARunThatGoesOnHere(t *testing.T) {
	t.Parallel()
	s, ws := newHandmade(t), open(t)
	s.run(0, finished)
	doImport(t, ws, s.dir, nil)
	url := served(t, ws)
	post(t, url, "runs/update", `{"run_id": "`+runID(0)+`", "status": "RUNNING"}`)
	s.metric(0, "m", 0, 3)
	require.EqualValues(t, 3, doImport(t, ws, s.dir, nil).Values)
	require.Equal(t, run.StatusRunning, get(t, ws, runID(0)).Status())
}

func post(t *testing.T, url, path, message string) {
	t.Helper()
	resp, err := http.Post(url+"/api/2.0/mlflow/"+path, "application/json", strings.NewReader(message))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// Nobody would carry out the cancel of a run whose client has died, or which goes
// on in MLflow: it has ended at once, and can be deleted.
func TestCancelOfARunOfAClient(t *testing.T) {
	t.Parallel()
	s, ws := newHandmade(t), open(t)
	s.run(0, running)
	s.run(1, running)
	doImport(t, ws, s.dir, nil)
	url := served(t, ws)
	post(t, url, "experiments/create", `{"name": "e"}`)
	post(t, url, "runs/create", `{"experiment_id": "e", "run_name": "made"}`)
	_, err := history.Transition(t.Context(), workspace.Handle(ws), runID(1), history.Step{To: record.CancelRequested}) // what it was asked for before
	require.NoError(t, err)

	n := 0
	for r, err := range ws.Runs().List(t.Context(), nil) {
		require.NoError(t, err)
		require.NoError(t, r.Cancel(t.Context(), &run.CancelOptions{Reason: "its machine is gone"}))
		require.Equal(t, run.StatusCanceled, r.Status())
		require.Contains(t, r.Details().Reason, "its machine is gone")
		require.False(t, r.Details().Ended.IsZero())
		post(t, url, "runs/update", `{"run_id": "`+r.ID()+`", "status": "FINISHED"}`) // the client lives after all
		require.NoError(t, r.Refresh(t.Context()))
		require.Equal(t, run.StatusCompleted, r.Status())
		require.ErrorIs(t, r.Cancel(t.Context(), nil), azml.ErrConflict)
		require.NoError(t, ws.Runs().Delete(t.Context(), r.ID(), nil))
		n++
	}
	require.Equal(t, 3, n)
}

func TestARunOfTheWorkspaceIsNotTouched(t *testing.T) {
	t.Parallel()
	s, ws := newHandmade(t), open(t)
	s.run(0, finished)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "mine", nil)
	require.NoError(t, err)
	r := runWith(t, exp, runID(0))
	before := r.Details()
	done := doImport(t, ws, s.dir, nil)
	require.Len(t, done.Conflicts, 1)
	require.Contains(t, done.Conflicts[0].Reason, "made in the workspace")
	require.NoError(t, r.Refresh(t.Context()))
	require.Equal(t, before, r.Details())
}

func TestFilterAndDryRun(t *testing.T) {
	t.Parallel()
	s, ws := newHandmade(t), open(t)
	s.run(0, finished)
	s.metric(0, "m", 0, 3)
	done := doImport(t, ws, s.dir, &mlflow.ImportOptions{DryRun: true})
	require.EqualValues(t, 1, done.Runs.Created)
	require.EqualValues(t, 1, done.Experiments.Created)
	for range ws.Experiments().List(t.Context(), nil) {
		t.Fatal("a dry run has made an experiment")
	}
	_, err := mlflow.Import(t.Context(), ws, s.dir, &mlflow.ImportOptions{Experiments: []string{"churn"}})
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, "churn")
	require.EqualValues(t, 3, doImport(t, ws, s.dir, &mlflow.ImportOptions{Experiments: []string{"churn rates"}}).Values)
	require.EqualValues(t, 1, doImport(t, ws, s.dir, &mlflow.ImportOptions{DryRun: true}).Runs.Unchanged)
}

// Several imports at the same time write nothing twice: the one that comes to a
// run that another is at gives up.
func TestImportsAtTheSameTime(t *testing.T) {
	t.Parallel()
	s, home := newHandmade(t), t.TempDir()
	const runs, values = 8, 500
	for n := range runs {
		s.run(n, running)
		s.metric(n, "m", 0, values)
		s.artifact(n, "a", "one")
	}
	ws := reopen(t, home)
	var importing sync.WaitGroup
	for range 4 {
		other := reopen(t, home)
		importing.Go(func() {
			for {
				_, err := mlflow.Import(t.Context(), other, s.dir, nil)
				if err == nil || !errors.Is(err, azml.ErrConflict) {
					if err != nil {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	importing.Wait()
	for n := range runs {
		require.Equal(t, numbers(values), steps(t, get(t, ws, runID(n)), "m"))
		require.Equal(t, run.StatusRunning, get(t, ws, runID(n)).Status())
	}
	sound(t, ws)
}

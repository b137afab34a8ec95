package mlflow

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

func TestStory(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	exp := post[createExperimentResponse](s, "experiments/create", object{"name": "churn"})
	require.Equal(t, "churn", exp.ExperimentID)
	id := post[runResponse](s, "runs/create", object{"experiment_id": "churn", "run_name": "one"}).Run.Info.RunID
	post[object](s, "runs/log-metric", object{"run_id": id, "key": "loss", "value": 2, "timestamp": "1700000000000", "step": 1 << 60})
	post[object](s, "runs/log-batch", object{"run_id": id, "metrics": []object{{"key": "loss", "value": 1, "timestamp": 1700000000001}}, "params": []object{{"key": "lr", "value": "0.1"}}})
	post[object](s, "runs/update", object{"run_id": id, "status": "FINISHED", "end_time": 1700000000002})
	r := get[runResponse](s, "runs/get?run_id="+id).Run
	require.Equal(t, statusFinished, r.Info.Status)
	require.EqualValues(t, 1700000000002, r.Info.EndTime)
	require.Equal(t, []metric{{Key: "loss", Value: 2, Timestamp: 1700000000000, Step: 1 << 60}}, r.Data.Metrics)
	require.Equal(t, []keyValue{{"lr", "0.1"}}, r.Data.Params)
	require.Equal(t, []keyValue{{nameTag, "one"}}, r.Data.Tags)

	stored, err := history.Get(t.Context(), s.core, id)
	require.NoError(t, err)
	require.Equal(t, record.Completed, stored.Value.Status)
	require.Equal(t, "one", stored.Value.DisplayName)
	require.Len(t, stored.Value.Kept.Points, 1)
}

// TestPrincipal looks whether changes are in the name of who sent the request.
func TestPrincipal(t *testing.T) {
	t.Parallel()
	s := serve(t, &Options{Principal: func(r *http.Request) string { return r.Header.Get("Accept") }})
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/2.0/mlflow/experiments/set-experiment-tag", strings.NewReader(`{"experiment_id":"0","key":"k","value":"v"}`))
	r.Header.Set("Content-Type", jsonType)
	r.Header.Set("Accept", "ann@token")
	s.handler.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	e, err := history.Experiment(t.Context(), s.core, "0")
	require.NoError(t, err)
	require.Equal(t, "ann@token", e.Value.CreatedBy)
	require.Contains(t, s.audit(), `"who":"ann@token"`)
	require.NotContains(t, s.audit(), `"who":"owner@test"`)
	post[createExperimentResponse](s, "experiments/create", object{"name": "x"})
	require.Contains(t, s.audit(), `"who":"owner@test"`)
}

// audit gives the whole audit log.
func (s *served) audit() string {
	s.t.Helper()
	var all string
	for _, key := range s.keys() {
		if matched, _ := filepath.Match("audit/*/*", key); matched {
			data, _, err := s.core.Read(s.t.Context(), key)
			require.NoError(s.t, err)
			all += string(data)
		}
	}
	return all
}

// TestRunOfAnotherProcess says that a run has ended which a process of azml
// answers for: the process goes on to say how the run goes.
func TestRunOfAnotherProcess(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.story()
	owner := s.core.Owner()
	_, err := history.Create(t.Context(), s.core, record.Run{ID: "owned", Experiment: "e", Type: "azureml.scriptrun", Status: record.Running, Owner: &owner})
	require.NoError(t, err)
	info := post[updateRunResponse](s, "runs/update", object{"run_id": "owned", "status": "FINISHED", "run_name": "named"}).RunInfo
	require.Equal(t, statusRunning, info.Status)
	require.Equal(t, "named", info.RunName)
	_, err = history.Transition(t.Context(), s.core, "owned", history.Step{To: record.Failed, Owner: owner.ID})
	require.NoError(t, err)
	require.Equal(t, statusFailed, get[runResponse](s, "runs/get?run_id=owned").Run.Info.Status)
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for _, status := range record.Statuses() {
		view := statusView(status)
		if status.Terminal() {
			require.Equal(t, status, statusOf(view, status), "an ended run ends the same way for both")
		} else {
			require.Contains(t, []runStatus{statusRunning, statusScheduled}, view)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"churn": "churn", "Default": "0", "0": "0-5feceb66", "a_b-9": "a_b-9", "": "experiment-e3b0c442", "_x": "x-a01e47cb",
	} {
		require.Equal(t, key, experimentKey(name))
	}
	for _, name := range []string{"a b", "ünï", "名前", "a/b", "/", "..", "\x00", "-", string(make([]byte, 600))} {
		key := experimentKey(name)
		require.NoError(t, core.ExperimentName.Check(key), "%q", name)
		require.Equal(t, key, experimentKey(name))
		require.NotEqual(t, key, experimentKey(name+"x"))
	}
	require.Equal(t, "äö", cut("äöü", 2))
	require.Equal(t, "äöü", cut("äöü", 3))
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err    error
		code   code
		status int
	}{
		{azml.ErrNotFound, codeNotFound, 404},
		{azml.ErrExists, codeExists, 400},
		{azml.ErrConflict, codeConflict, 409},
		{fmt.Errorf("x: %w", azml.ErrInvalid), codeInvalidParameter, 400},
		{azml.ErrDenied, codeDenied, 403},
		{azml.ErrUnsupported, codeNotImplemented, 501},
		{azml.ErrDamaged, codeDataLoss, 500},
		{azml.ErrUnavailable, codeUnavailable, 503},
		{context.DeadlineExceeded, codeDeadline, 504},
		{errors.New("x"), codeInternal, 500},
	} {
		f := asFailure(tt.err)
		require.Equal(t, tt.code, f.code)
		require.Equal(t, tt.status, f.code.status())
	}
}

// TestRestart serves a workspace again: what clients have made is there.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := start(t, dir)
	id := p.story()
	post[object](p.served, "runs/log-metric", object{"run_id": id, "key": "m", "value": 1, "timestamp": 1})
	p.kill()
	p = start(t, dir)
	require.Equal(t, []metric{{Key: "m", Value: 1, Timestamp: 1}}, get[runResponse](p.served, "runs/get?run_id="+id).Run.Data.Metrics)
	require.Equal(t, "hello", string(p.send("GET", p.artifact(id, "a/b.txt"), "", "").body))
	post[object](p.served, "runs/update", object{"run_id": id, "status": "KILLED"})
}

package mlflow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/mlflow"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

type object = map[string]any

// client sends requests to a handler of the workspace.
type client struct {
	t       *testing.T
	handler http.Handler
}

// call sends a message, which must be answered well, and reads the answer.
func (c client) call(method, path string, message, answer any) {
	c.t.Helper()
	body, err := json.Marshal(message)
	require.NoError(c.t, err)
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(c.t.Context(), method, "/api/2.0/"+path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	c.handler.ServeHTTP(w, r)
	require.Equal(c.t, http.StatusOK, w.Code, "%s: %s", path, w.Body)
	if answer != nil {
		require.NoError(c.t, json.Unmarshal(w.Body.Bytes(), answer))
	}
}

// runAnswer is what these tests look at of a run.
type runAnswer struct {
	Run struct {
		Info struct {
			RunID        string `json:"run_id"`
			Status       string `json:"status"`
			ExperimentID string `json:"experiment_id"`
		} `json:"info"`
		Data struct {
			Metrics []struct {
				Key string `json:"key"`
			} `json:"metrics"`
		} `json:"data"`
	} `json:"run"`
}

// TestLibrarySeesClients looks with the library at what clients have made, and
// with a client at what the library has made.
func TestLibrarySeesClients(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws, err := workspace.Open(ctx, t.TempDir(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	handler, err := mlflow.New(workspace.Handle(ws), nil)
	require.NoError(t, err)
	c := client{t, handler}
	c.call(http.MethodPost, "mlflow/experiments/create", object{"name": "e"}, nil)
	var made runAnswer
	c.call(http.MethodPost, "mlflow/runs/create", object{"experiment_id": "e"}, &made)
	id := made.Run.Info.RunID
	c.call(http.MethodPut, "mlflow-artifacts/artifacts/e/"+id+"/artifacts/a/b.txt", "hello", nil)
	c.call(http.MethodPost, "mlflow/runs/log-metric", object{"run_id": id, "key": "m", "value": 0.5, "timestamp": 1, "step": 3}, nil)
	runs, experiments := ws.Runs(), ws.Experiments()

	r, err := runs.Get(ctx, id, nil)
	require.NoError(t, err)
	require.Equal(t, run.StatusRunning, r.Status())
	sums, err := r.Summaries(ctx)
	require.NoError(t, err)
	require.InDelta(t, 0.5, sums["m"].Last.Value, 0)
	content, err := r.Open(ctx, "a/b.txt")
	require.NoError(t, err)
	data, err := io.ReadAll(content)
	require.NoError(t, err)
	require.NoError(t, content.Close())
	require.Equal(t, `"hello"`, string(data))
	require.ErrorIs(t, r.Upload(ctx, "a/b.txt", strings.NewReader("new"), nil), azml.ErrExists, "the library replaces no file")

	listed := func(opts *run.ListOptions) (ids []string) {
		for r, err := range runs.List(ctx, opts) {
			require.NoError(t, err)
			ids = append(ids, r.ID())
		}
		return ids
	}
	c.call(http.MethodPost, "mlflow/runs/delete", object{"run_id": id}, nil)
	require.Empty(t, listed(nil))
	require.Equal(t, []string{id}, listed(&run.ListOptions{Deleted: true}))

	c.call(http.MethodPost, "mlflow/experiments/update", object{"experiment_id": "e", "new_name": "f"}, nil)
	for _, name := range []string{"e", "f"} {
		e, err := experiments.Get(ctx, name, nil)
		require.NoError(t, err)
		require.Equal(t, "e", e.Name())
		require.Equal(t, "f", e.Details().Title)
		again, err := experiments.CreateOrUpdate(ctx, name, nil)
		require.NoError(t, err)
		require.Equal(t, "e", again.Name())
	}
	var names []string
	for e, err := range experiments.List(ctx, nil) {
		require.NoError(t, err)
		names = append(names, e.Name())
	}
	require.Equal(t, []string{"e"}, names, "a name more is no experiment more")

	c.call(http.MethodPost, "mlflow/runs/restore", object{"run_id": id}, nil)
	c.call(http.MethodPost, "mlflow/runs/update", object{"run_id": id, "status": "FINISHED"}, nil)
	require.NoError(t, runs.Delete(ctx, id, nil))
	require.NoError(t, experiments.Delete(ctx, "f", nil))
	for _, name := range []string{"e", "f"} {
		_, err := experiments.Get(ctx, name, nil)
		require.ErrorIs(t, err, azml.ErrNotFound)
		c.call(http.MethodPost, "mlflow/experiments/create", object{"name": name}, nil)
	}

	e, err := experiments.CreateOrUpdate(ctx, "mine", &experiment.CreateOptions{Description: "about"})
	require.NoError(t, err)
	logged, err := e.Run(ctx, func(_ context.Context, r *run.Run) error { return r.Log("loss", 1, nil) }, nil)
	require.NoError(t, err)
	var view runAnswer
	c.call(http.MethodGet, "mlflow/runs/get?run_id="+logged.ID(), nil, &view)
	require.Equal(t, "FINISHED", view.Run.Info.Status)
	require.Equal(t, "mine", view.Run.Info.ExperimentID)
	require.Equal(t, "loss", view.Run.Data.Metrics[0].Key)
	var got struct {
		Experiment struct {
			Tags []map[string]string `json:"tags"`
		} `json:"experiment"`
	}
	c.call(http.MethodGet, "mlflow/experiments/get?experiment_id=mine", nil, &got)
	require.Contains(t, got.Experiment.Tags, map[string]string{"key": "mlflow.note.content", "value": "about"})
}

// TestExperimentOfLoggedModels deletes an experiment by the library: its logged
// models go, too.
func TestExperimentOfLoggedModels(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws, err := workspace.Open(ctx, t.TempDir(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	handler, err := mlflow.New(workspace.Handle(ws), nil)
	require.NoError(t, err)
	c := client{t, handler}
	c.call(http.MethodPost, "mlflow/experiments/create", object{"name": "gone"}, nil)
	var made struct {
		Model struct {
			Info struct {
				ModelID string `json:"model_id"`
			} `json:"info"`
		} `json:"model"`
	}
	c.call(http.MethodPost, "mlflow/logged-models", object{"experiment_id": "gone", "name": "x"}, &made)
	id := made.Model.Info.ModelID
	require.NoError(t, ws.Experiments().Delete(ctx, "gone", nil))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/2.0/mlflow/logged-models/"+id, nil))
	require.Equal(t, http.StatusNotFound, w.Code)
	_, err = history.LoggedModel(ctx, workspace.Handle(ws), id)
	require.ErrorIs(t, err, azml.ErrNotFound)
}

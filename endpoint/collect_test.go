package endpoint_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/workspace"
)

// collected reads the rows of a collection by their columns.
func collected(t *testing.T, ws *workspace.Workspace, folder string) []map[string]string {
	t.Helper()
	store, err := ws.Datastores().Default(t.Context(), nil)
	require.NoError(t, err)
	var all []map[string]string
	for f, err := range store.Files(t.Context(), folder+"/", nil) {
		require.NoError(t, err)
		reader, err := store.Open(t.Context(), f.Path, nil)
		require.NoError(t, err)
		rows, err := csv.NewReader(reader).ReadAll()
		require.NoError(t, err)
		require.NoError(t, reader.Close())
		for _, row := range rows[1:] {
			one := map[string]string{}
			for i, name := range rows[0] {
				one[name] = row[i]
			}
			all = append(all, one)
		}
	}
	return all
}

type point struct {
	X, Y float64
	Note string `json:"note,omitempty"`
}

func TestCollect(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	m, err := ws.Models().Register(ctx, "m", file(t, t.TempDir(), "m.txt", "weights"), nil)
	require.NoError(t, err)
	ep := deploy(t, ws, "sums", endpoint.Config{Model: m, Handler: func(ctx context.Context, input json.RawMessage) (any, error) {
		var points []point
		if err := json.Unmarshal(input, &points); err != nil {
			return nil, err
		}
		id, kept := endpoint.Collect(ctx, "inputs", points, &endpoint.CollectOptions{CorrelationID: "mine"})
		require.True(t, kept)
		var sums []float64
		for _, p := range points {
			sums = append(sums, p.X+p.Y)
		}
		again, kept := endpoint.Collect(ctx, "predictions", map[string]any{"sum": sums}, &endpoint.CollectOptions{CorrelationID: "mine"})
		require.True(t, kept)
		require.Equal(t, id, again)
		_, kept = endpoint.Collect(ctx, "labels", points, nil)
		require.False(t, kept, "it is not collected")
		return sums, nil
	}, Collect: &endpoint.Collection{Percent: map[string]float64{"inputs": 100, "predictions": 100, endpoint.CollectRequest: 100, endpoint.CollectResponse: 100}}}, nil)
	code, _, _ := ask(t, "POST", ep.ScoringURI(), mustKey(t, ep), `[{"X":1,"Y":2},{"X":3,"Y":4,"note":"n"}]`, "X-Request-Id", "r1")
	require.Equal(t, 200, code)
	require.NoError(t, ep.Stop(ctx), "which writes what was collected")

	root := "modeldata/" + ws.Name() + "/sums/m/1/"
	inputs := collected(t, ws, root+"inputs")
	require.Len(t, inputs, 2)
	require.Equal(t, "3", inputs[1]["X"])
	require.Equal(t, "n", inputs[1]["note"])
	require.Equal(t, "mine-r1", inputs[0]["$aml_dc_correlation_id"])
	require.Equal(t, "r1", inputs[0]["$aml_request_id"])
	require.Equal(t, []string{"sums", "main", "m", "1", ws.Name()}, []string{inputs[0]["$aml_service_name"], inputs[0]["$aml_deployment_name"],
		inputs[0]["$aml_model_name"], inputs[0]["$aml_model_version"], inputs[0]["$aml_workspace"]})
	require.Equal(t, "[3,7]", collected(t, ws, root+"predictions")[0]["sum"])
	require.Equal(t, "mine-r1", collected(t, ws, root+"predictions")[0]["$aml_dc_correlation_id"])
	require.Equal(t, `[{"X":1,"Y":2},{"X":3,"Y":4,"note":"n"}]`, collected(t, ws, root+"request")[0]["body"])
	require.Equal(t, []string{"[3,7]", "200"}, []string{collected(t, ws, root+"response")[0]["body"], collected(t, ws, root+"response")[0]["status"]})

	table, err := ws.Datasets().FromDelimitedFiles(ctx, []dataset.Path{{Datastore: datastore.OwnName, Path: root + "inputs/**/*.csv"}}, nil)
	require.NoError(t, err)
	n := 0
	for row, err := range dataset.Rows[struct {
		X       float64
		Service string `dataset:"$aml_service_name"`
	}](ctx, table, nil) {
		require.NoError(t, err)
		require.Equal(t, "sums", row.Service)
		n++
	}
	require.Equal(t, 2, n)
}

func mustKey(t *testing.T, ep *endpoint.Endpoint) string {
	t.Helper()
	keys, err := ep.Keys(t.Context())
	require.NoError(t, err)
	return keys.Primary
}

const collectingScript = `
import json
import pandas as pd
from azureml.ai.monitoring import Collector
from azureml.monitoring import ModelDataCollector
def init():
    global inputs, outputs, signals
    signals = ModelDataCollector("m", designation="signals")
    inputs = Collector(name="model_inputs")
    outputs = Collector(name="model_outputs")
def run(data):
    frame = pd.DataFrame(json.loads(data)["rows"], columns=["a", "b"])
    context = inputs.collect(frame)
    sums = frame.sum(axis=1)
    outputs.collect(pd.DataFrame({"sum": sums}), context)
    signals.collect(frame)
    return {"sums": sums.tolist(), "id": context.get_id()}
`

// A scoring script collects by Azure ML's own packages, unchanged.
func TestCollectInPython(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	dir := t.TempDir()
	file(t, dir, "score.py", collectingScript)
	ep := deploy(t, ws, "sums", endpoint.Config{
		Script:  &endpoint.Script{Source: dir, EntryScript: "score.py", Environment: environment.Spec{Python: environment.Python{UserManaged: true, InterpreterPath: testenv.MLflow(t)}}},
		Collect: &endpoint.Collection{Percent: map[string]float64{"model_inputs": 100, "model_outputs": 100, "signals": 100}, Path: "kept"}}, nil)
	var answer struct {
		Sums []float64

		ID string
	}
	require.NoError(t, ep.InvokeJSON(ctx, map[string]any{"rows": [][]float64{{1, 2}, {3, 4}}}, &answer, nil))
	require.Equal(t, []float64{3, 7}, answer.Sums)
	root := "kept/" + ws.Name() + "/sums/main/0/"
	require.NoError(t, ep.Stop(ctx))
	inputs, outputs := collected(t, ws, root+"model_inputs"), collected(t, ws, root+"model_outputs")
	require.Len(t, inputs, 2)
	require.Len(t, outputs, 2)
	require.Equal(t, []string{"1", "2", answer.ID}, []string{inputs[0]["a"], inputs[0]["b"], inputs[0]["$aml_dc_correlation_id"]})
	require.Equal(t, []string{"7", answer.ID}, []string{outputs[1]["sum"], outputs[1]["$aml_dc_correlation_id"]})
	signals := collected(t, ws, "kept/"+ws.Name()+"/sums/m/default/signals")
	require.Len(t, signals, 2)
	require.Equal(t, "4", signals[1]["b"])
}

func TestBadCollections(t *testing.T) {
	t.Parallel()
	ws := open(t)
	for name, c := range map[string]*endpoint.Collection{
		"nothing":      {},
		"a bad name":   {Percent: map[string]float64{"A/b": 1}},
		"a bad share":  {Percent: map[string]float64{"a": 101}},
		"a bad path":   {Percent: map[string]float64{"a": 1}, Path: "../out"},
		"no datastore": {Percent: map[string]float64{"a": 1}, Datastore: "none"},
	} {
		_, err := ws.Endpoints().Deploy(t.Context(), "rows", endpoint.Config{Handler: echo, Collect: c}, nil)
		want := azml.ErrInvalid
		if name == "no datastore" {
			want = azml.ErrNotFound
		}
		require.ErrorIs(t, err, want, name)
		_, err = ws.Endpoints().Get(t.Context(), "rows", nil)
		require.ErrorIs(t, err, azml.ErrNotFound, "%s: nothing is stored", name)
	}
}

// Scoring goes on while the datastore does not answer, and what was collected is
// written when it does again.
func TestCollectWhileTheDatastoreIsDown(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	folder := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.Mkdir(folder, 0o700))
	store, err := ws.Datastores().Register(ctx, "data", datastore.Folder{Path: folder}, nil)
	require.NoError(t, err)
	ep := deploy(t, ws, "rows", endpoint.Config{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, kept := endpoint.Collect(r.Context(), "rows", []point{{X: 1}}, nil); !kept {
			w.WriteHeader(http.StatusTeapot)
		}
	}), Collect: &endpoint.Collection{Percent: map[string]float64{"rows": 100}, Datastore: store.Name()}}, nil)
	key := mustKey(t, ep)
	require.NoError(t, os.Rename(folder, folder+".away"))
	require.NoError(t, os.WriteFile(folder, nil, 0o600))
	code, _, _ := ask(t, "POST", ep.ScoringURI(), key, `1`)
	require.Equal(t, 200, code)
	stopped := make(chan error, 1)
	go func() { stopped <- ep.Stop(ctx) }()
	require.Eventually(t, func() bool {
		log, err := ep.Logs(ctx, nil)
		if err != nil {
			return false
		}
		defer log.Close()
		text, err := io.ReadAll(log)
		return err == nil && strings.Contains(string(text), "can't be written yet")
	}, 30*time.Second, 20*time.Millisecond)
	require.NoError(t, os.Remove(folder))
	require.NoError(t, os.Rename(folder+".away", folder))
	require.NoError(t, <-stopped)
	var files []string
	for f, err := range store.Files(ctx, "modeldata/", nil) {
		require.NoError(t, err)
		files = append(files, f.Path)
	}
	require.Len(t, files, 1)
}

package endpoint_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/testenv"
)

// The way in which Azure ML's documentation collects with its SDK v1.
const firstPackageScript = `
import json
from azureml.monitoring import ModelDataCollector

def init():
    global inputs_dc, prediction_dc, notes_dc, labels_dc
    inputs_dc = ModelDataCollector("best_model", designation="inputs", feature_names=["feat1", "feat2"])
    prediction_dc = ModelDataCollector(model_name="best_model", designation="predictions", feature_names=["sum"])
    notes_dc = ModelDataCollector("another", collection_name="notes")
    labels_dc = ModelDataCollector("best_model", designation="labels", feature_names=["label"])

def run(data):
    row = json.loads(data)["data"]
    correlations = inputs_dc.collect(row, "mine")
    prediction_dc.collect(prediction_dc.add_correlations([sum(row)], correlations))
    notes_dc.collect(["all is well"])
    assert labels_dc.collect([1]) is None
    return {"sum": sum(row), "id": correlations["$aml_dc_correlation_id"]}
`

// TestCollectByTheFirstPackage: scripts of SDK v1 collect, whoever hosts them, with and
// without the package in their environment.
func TestCollectByTheFirstPackage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, python string
		server       endpoint.Server
	}{
		{"no package", testenv.Python(t), endpoint.ServerWorker},
		{"with the package", testenv.InferenceServer(t), endpoint.ServerWorker},
		{"Azure ML's server", testenv.InferenceServer(t), endpoint.ServerInference},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			ws := open(t)
			dir := t.TempDir()
			file(t, dir, "score.py", firstPackageScript)
			weights := file(t, t.TempDir(), "m.txt", "weights")
			_, err := ws.Models().Register(ctx, "best_model", weights, nil)
			require.NoError(t, err)
			best, err := ws.Models().Register(ctx, "best_model", weights, nil)
			require.NoError(t, err)
			ep := deploy(t, ws, "sums", endpoint.Config{Model: best,
				Script:  &endpoint.Script{Source: dir, EntryScript: "score.py", Server: test.server, Environment: environment.Spec{Python: environment.Python{UserManaged: true, InterpreterPath: test.python}}},
				Collect: &endpoint.Collection{Percent: map[string]float64{"inputs": 100, "predictions": 100, "general": 100, endpoint.CollectRequest: 100}}}, nil)
			code, text, _ := ask(t, "POST", ep.ScoringURI(), mustKey(t, ep), `{"data": [1, 2.5]}`, "X-Request-Id", "r1")
			require.Equal(t, 200, code, text)
			require.NoError(t, ep.Stop(ctx), "which writes what was collected")

			root := "modeldata/" + ws.Name() + "/sums/best_model/2/"
			inputs, predictions := collected(t, ws, root+"inputs"), collected(t, ws, root+"predictions")
			require.Len(t, inputs, 1)
			require.Len(t, predictions, 1)
			id := inputs[0]["$aml_dc_correlation_id"]
			require.True(t, strings.HasPrefix(id, "mine-"))
			require.Contains(t, text, id)
			for name, want := range map[string]string{"feat1": "1", "feat2": "2.5", "$aml_dc_boundary": "1440", "$aml_workspace": ws.Name(), "$aml_service_name": "sums",
				"$aml_deployment_name": "main", "$aml_model_name": "best_model", "$aml_model_version": "2", "$aml_request_id": "r1"} {
				require.Equal(t, want, inputs[0][name], name)
			}
			require.Equal(t, []string{"3.5", id, "r1"}, []string{predictions[0]["sum"], predictions[0]["$aml_dc_correlation_id"], predictions[0]["$aml_request_id"]})
			require.Equal(t, inputs[0]["$aml_dc_scoring_timestamp"], predictions[0]["$aml_dc_scoring_timestamp"])
			notes := "modeldata/" + ws.Name() + "/sums/another/default/general"
			require.Equal(t, "all is well", collected(t, ws, notes)[0]["Column1"])
			store, err := ws.Datastores().Default(ctx, nil)
			require.NoError(t, err)
			for f, err := range store.Files(ctx, notes+"/", nil) {
				require.NoError(t, err)
				require.Contains(t, f.Path, "/notes-")
			}
			require.Len(t, collected(t, ws, root+"request"), 1)
			require.Empty(t, collected(t, ws, root+"labels"), "they are not collected")
		})
	}
}

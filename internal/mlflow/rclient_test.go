package mlflow

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRequestsOfR sends what MLflow's package for R does, which makes texts of all
// values: R writes 100000 as 1e+05.
func TestRequestsOfR(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	experiment := post[createExperimentResponse](s, "experiments/create", object{"name": "R"}).ExperimentID
	id := post[runResponse](s, "runs/create", object{"experiment_id": experiment, "user_id": "me", "start_time": "1700000000123",
		"tags": []object{{"key": "mlflow.source.name", "value": "<console>"}}}).Run.Info.RunUUID
	both := func(more object) object {
		more["run_uuid"], more["run_id"] = id, id
		return more
	}
	post[object](s, "runs/log-metric", both(object{"key": "m", "value": "0.5", "timestamp": "1700000000123", "step": "1e+05"}))
	post[object](s, "runs/log-metric", both(object{"key": "inf", "value": "-Infinity", "timestamp": "1.7e+12", "step": "0"}))
	post[object](s, "runs/log-metric", both(object{"key": "nan", "value": "NaN", "timestamp": "1700000000123", "step": "0"}))
	post[object](s, "runs/log-parameter", both(object{"key": "p", "value": "1"}))
	post[object](s, "runs/set-tag", both(object{"key": "t", "value": "v"}))
	post[object](s, "runs/log-batch", object{"run_id": id,
		"metrics": []object{{"key": "b", "value": "1e-10", "step": "2", "timestamp": "1700000000123"}}, "params": []object{{"key": "q", "value": "x"}}})
	post[object](s, "runs/update", both(object{"status": "FINISHED", "end_time": "1700000001000"}))
	run := s.send("GET", fmt.Sprintf("/api/2.0/mlflow/runs/get?run_uuid=%s&run_id=%s", id, id), "", "")
	for _, want := range []string{`"start_time":1700000000123`, `"end_time":1700000001000`, `{"key":"inf","value":"-Infinity"`, `{"key":"nan","value":"NaN"`,
		`{"key":"m","value":0.5`, `{"key":"b","value":1e-10`, `{"key":"p","value":"1"}`, `{"key":"q","value":"x"}`, `{"key":"t","value":"v"}`} {
		require.Contains(t, string(run.body), want)
	}
	history := get[metricsResponse](s, fmt.Sprintf("metrics/get-history?run_uuid=%s&run_id=%s&metric_key=m", id, id)).Metrics
	require.Equal(t, []metric{{Key: "m", Value: 0.5, Timestamp: 1700000000123, Step: 100_000}}, history)
	found := post[struct{ Runs []object }](s, "runs/search", object{"experiment_ids": []string{experiment}, "filter": "metrics.m > 0", "run_view_type": "ACTIVE_ONLY", "order_by": []string{}})
	require.Len(t, found.Runs, 1)
	require.Equal(t, http.StatusOK, s.send("GET", "/api/2.0/mlflow/artifacts/list?run_uuid="+id+"&run_id="+id, "", "").status)
}

// TestModelsOfR sends what that package does with the registry: it has POST for a
// search and texts for true and false, both of which MLflow's own server refuses.
func TestModelsOfR(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, name := range []string{"a", "b", "c"} {
		post[registeredModelResponse](s, "registered-models/create", object{"name": name, "description": "from R"})
	}
	first := post[searchRegisteredModelsResponse](s, "registered-models/search", object{"max_results": "2", "order_by": []string{"name DESC"}})
	require.Equal(t, []string{"c", "b"}, []string{first.RegisteredModels[0].Name, first.RegisteredModels[1].Name})
	rest := post[searchRegisteredModelsResponse](s, "registered-models/search",
		object{"max_results": "2", "order_by": []string{"name DESC"}, "page_token": first.NextPageToken})
	require.Len(t, rest.RegisteredModels, 1)
	found := post[searchRegisteredModelsResponse](s, "registered-models/search", object{"filter": "name = 'a'", "max_results": "100"})
	require.Len(t, found.RegisteredModels, 1)

	for range 2 {
		post[object](s, "model-versions/create", object{"name": "a", "source": "s3://b/x"})
	}
	move := func(version, stage, archive string) string {
		return post[modelVersionResponse](s, "model-versions/transition-stage",
			object{"name": "a", "version": version, "stage": stage, "archive_existing_versions": archive}).ModelVersion.CurrentStage
	}
	stage := func() string {
		return get[modelVersionResponse](s, "model-versions/get?name=a&version=1").ModelVersion.CurrentStage
	}
	require.Equal(t, "Production", move("1", "Production", "FALSE"))
	require.Equal(t, "Production", move("2", "Production", "FALSE"))
	require.Equal(t, "Production", stage())
	require.Equal(t, "Production", move("2", "Production", "TRUE"))
	require.Equal(t, "Archived", stage())
}

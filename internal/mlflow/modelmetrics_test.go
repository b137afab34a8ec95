package mlflow

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestModelMetrics(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	model := post[loggedModelResponse](s, "logged-models", object{"experiment_id": "e"}).Model.Info.ModelID
	point := func(key string, value float64, step int64, dataset string) object {
		return object{"key": key, "value": value, "timestamp": 1, "step": step, "model_id": model, "dataset_name": dataset, "dataset_digest": dataset + "!"}
	}
	first := point("acc", 0.5, 1, "train")
	first["run_id"] = id
	post[object](s, "runs/log-metric", first)
	post[object](s, "runs/log-batch", object{"run_id": id, "metrics": []object{point("acc", 0.75, 2, "train"), point("acc", 0.25, 2, "test"), {"key": "other", "value": 1, "timestamp": 1}}})
	c := call{Handler: s.handler, core: s.core}
	got, err := c.modelMetrics(t.Context(), model)
	require.NoError(t, err)
	require.Equal(t, []metric{
		{Key: "acc", Value: 0.25, Timestamp: 1, Step: 2, DatasetName: "test", DatasetDigest: "test!", ModelID: model, RunID: id},
		{Key: "acc", Value: 0.75, Timestamp: 1, Step: 2, DatasetName: "train", DatasetDigest: "train!", ModelID: model, RunID: id},
	}, got)
	require.Len(t, get[runResponse](s, "runs/get?run_id="+id).Run.Data.Metrics, 2)
	none, err := c.modelMetrics(t.Context(), "m-2")
	require.NoError(t, err)
	require.Empty(t, none)
	bad := point("acc", 1, 1, "train")
	bad["model_id"] = "../x"
	a := s.send("POST", "/api/2.0/mlflow/runs/log-batch", jsonType, string(encode(t, object{"run_id": id, "metrics": []object{bad}})))
	require.Equal(t, 400, a.status)
	bad["model_id"] = "m-2"
	a = s.send("POST", "/api/2.0/mlflow/runs/log-batch", jsonType, string(encode(t, object{"run_id": id, "metrics": []object{bad}})))
	require.Equal(t, 404, a.status)
}

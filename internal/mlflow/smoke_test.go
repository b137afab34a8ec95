package mlflow

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStory(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	exp := post[createExperimentResponse](s, "experiments/create", object{"name": "churn"})
	require.Equal(t, "churn", exp.ExperimentID)
	r := post[runResponse](s, "runs/create", object{"experiment_id": "churn", "run_name": "one"}).Run
	post[object](s, "runs/log-metric", object{"run_id": r.Info.RunID, "key": "loss", "value": "NaN", "timestamp": "1700000000000", "step": 1 << 60})
	post[object](s, "runs/log-batch", object{"run_id": r.Info.RunID, "metrics": []object{{"key": "loss", "value": 1, "timestamp": 1700000000001}}, "params": []object{{"key": "lr", "value": "0.1"}}})
	a := s.send(http.MethodGet, "/api/2.0/mlflow/runs/get?run_id="+r.Info.RunID, "", "")
	require.Equal(t, http.StatusOK, a.status)
	t.Log(string(a.body))
	a = s.send(http.MethodPut, "/api/2.0/mlflow-artifacts/artifacts/churn/"+r.Info.RunID+"/artifacts/a/b.txt", "text/plain", "hello")
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	a = s.send(http.MethodGet, "/api/2.0/mlflow-artifacts/artifacts?path=churn/"+r.Info.RunID+"/artifacts/a", "", "")
	t.Log(string(a.body))
}

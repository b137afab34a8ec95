package mlflow

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGreatest sends the greatest messages that MLflow's limits allow, as the Python
// client sends them: with each character escaped.
func TestGreatest(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	const api, escaped = "/api/2.0/mlflow/", `\u00fc`
	ok := func(path, body string) {
		t.Helper()
		a := s.send("POST", api+path, jsonType, body)
		require.Equal(t, http.StatusOK, a.status, "%.300s", a.body)
	}
	list := func(n int, item func(key string) string) string {
		items := make([]string, n)
		for i := range items {
			number := strconv.Itoa(1000 + i)
			items[i] = item(number + strings.Repeat(escaped, maxKey-len(number)))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	point := func(key string) string {
		return `{"key":"` + key + `","value":1,"timestamp":1,"dataset_name":"` + strings.Repeat(escaped, maxDatasetName) + `","dataset_digest":"d","model_id":""}`
	}
	ok("runs/log-batch", `{"run_id":"`+id+`","metrics":`+list(maxMetricsPerBatch, point)+`}`)
	param := func(key string) string {
		return `{"key":"` + key + `","value":"` + strings.Repeat(escaped, maxParam) + `"}`
	}
	ok("runs/log-batch", `{"run_id":"`+id+`","params":`+list(maxLabelsPerBatch, param)+`}`)
	model := post[loggedModelResponse](s, "logged-models", object{"experiment_id": "e"}).Model.Info.ModelID
	ok("logged-models/"+model+"/params", `{"params":`+list(maxLabelsPerBatch, param)+`}`)
	text := func(n int) string { return strings.Repeat(`\"`, n) }
	ok("runs/log-inputs", `{"run_id":"`+id+`","datasets":[{"dataset":{"name":"d","digest":"1","source_type":"s","source":"s","schema":"`+text(maxDatasetSchema)+
		`","profile":"`+text(maxDatasetProfile)+`"}}]}`)
}

// TestDefaultIsFound looks for the experiment that nobody has used yet.
func TestDefaultIsFound(t *testing.T) {
	t.Parallel()
	s := serve(t, &Options{Principal: by})
	found := get[struct{ Experiments []experimentMessage }](s, "experiments/search?max_results=10")
	require.Len(t, found.Experiments, 1)
	require.Equal(t, "0", found.Experiments[0].ExperimentID)
	require.Equal(t, "Default", found.Experiments[0].Name)
}

// TestNoPages asks for what is no part of MLflow's interface.
func TestNoPages(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	require.Equal(t, http.StatusOK, s.send("HEAD", "/health", "", "").status)
	a := s.send("GET", "/", "", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, string(a.body), "no pages")
}

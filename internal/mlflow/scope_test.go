package mlflow

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// foreign are requests to all routes by which a script names something. {run}
// stands for a run, {exp} for an experiment, {model} and the first wildcard of a
// path for a logged model; what is not the script's own must be
// refused. Whoever adds a route decides here.
var foreign = map[string]string{
	"GET /mlflow/experiments/get":                        "experiment_id={exp}",
	"GET /mlflow/experiments/get-by-name":                "experiment_name={exp}",
	"POST /mlflow/experiments/create":                    `{"name":"{exp}"}`,
	"POST /mlflow/experiments/set-experiment-tag":        `{"experiment_id":"{exp}","key":"k","value":"v"}`,
	"POST /mlflow/experiments/delete-experiment-tag":     `{"experiment_id":"{exp}","key":"k"}`,
	"POST /mlflow/experiments/update":                    `{"experiment_id":"{exp}","new_name":"n"}`,
	"POST /mlflow/experiments/delete":                    `{"experiment_id":"{exp}"}`,
	"POST /mlflow/experiments/restore":                   `{"experiment_id":"{exp}"}`,
	"POST /mlflow/runs/create":                           `{"experiment_id":"{exp}"}`,
	"GET /mlflow/runs/get":                               "run_id={run}",
	"POST /mlflow/runs/update":                           `{"run_id":"{run}","run_name":"n"}`,
	"POST /mlflow/runs/delete":                           `{"run_id":"{run}"}`,
	"POST /mlflow/runs/restore":                          `{"run_id":"{run}"}`,
	"POST /mlflow/experiments/search-datasets":           `{"experiment_ids":["{exp}"]}`,
	"POST mlflow/experiments/search-datasets":            `{"experiment_ids":["{exp}"]}`,
	"POST /mlflow/runs/search":                           `{"experiment_ids":["{exp}"]}`,
	"POST /mlflow/runs/log-metric":                       `{"run_id":"{run}","key":"k","value":1,"timestamp":1}`,
	"POST /mlflow/runs/log-parameter":                    `{"run_id":"{run}","key":"k","value":"v"}`,
	"POST /mlflow/runs/log-batch":                        `{"run_id":"{run}","metrics":[{"key":"k","value":1,"timestamp":1}]}`,
	"POST /mlflow/runs/set-tag":                          `{"run_id":"{run}","key":"k","value":"v"}`,
	"POST /mlflow/runs/delete-tag":                       `{"run_id":"{run}","key":"k"}`,
	"POST /mlflow/runs/log-inputs":                       `{"run_id":"{run}","datasets":[{"dataset":{"name":"n","digest":"d","source_type":"t","source":"s"}}]}`,
	"POST /mlflow/runs/outputs":                          `{"run_id":"{run}","models":[{"model_id":"m-1","step":1}]}`,
	"POST /mlflow/runs/log-model":                        `{"run_id":"{run}","model_json":"{\"artifact_path\":1,\"flavors\":1,\"utc_time_created\":1,\"run_id\":1}"}`,
	"GET /mlflow/metrics/get-history":                    "run_id={run}&metric_key=k",
	"GET /mlflow/metrics/get-history-bulk":               "run_id={run}&metric_key=k",
	"GET /mlflow/metrics/get-history-bulk-interval":      "run_ids={run}&metric_key=k",
	"GET /mlflow/artifacts/list":                         "run_id={run}",
	"GET /mlflow-artifacts/artifacts":                    "path={exp}/{run}/artifacts",
	"GET /mlflow-artifacts/artifacts/{...}":              "/{exp}/{run}/artifacts/a.txt",
	"HEAD /mlflow-artifacts/artifacts/{...}":             "/{exp}/{run}/artifacts/a.txt",
	"PUT /mlflow-artifacts/artifacts/{...}":              "/{exp}/{run}/artifacts/a.txt",
	"DELETE /mlflow-artifacts/artifacts/{...}":           "/{exp}/{run}/artifacts/a.txt",
	"POST /mlflow/upload-artifact":                       "run_id={run}&path=u.txt",
	"POST /mlflow-artifacts/mpu/create/{...}":            `/{exp}/{run}/artifacts {"path":"b.txt"}`,
	"POST /mlflow-artifacts/mpu/complete/{...}":          `/{exp}/{run}/artifacts {"path":"b.txt","upload_id":"x","parts":[{"part_number":1}]}`,
	"POST /mlflow-artifacts/mpu/abort/{...}":             `/{exp}/{run}/artifacts {"path":"b.txt","upload_id":"x"}`,
	"GET /mlflow-artifacts/presigned/{...}":              "/{exp}/{run}/artifacts/a.txt",
	"POST /mlflow/logged-models":                         `{"experiment_id":"{exp}","source_run_id":"{run}"}`,
	"POST /mlflow/logged-models/search":                  `{"experiment_ids":["{exp}"]}`,
	"GET /mlflow/logged-models/{}":                       "a=b",
	"PATCH /mlflow/logged-models/{}":                     `{"status":"LOGGED_MODEL_READY"}`,
	"POST /mlflow/logged-models/{}/params":               `{"params":[{"key":"k","value":"v"}]}`,
	"PATCH /mlflow/logged-models/{}/tags":                `{"tags":[{"key":"k","value":"v"}]}`,
	"DELETE /mlflow/logged-models/{}/tags/{...}":         "a=b",
	"GET /mlflow/logged-models/{}/artifacts/directories": "a=b",
	"GET /mlflow/logged-models/{}/artifacts/files":       "artifact_file_path=a.txt",
	"DELETE /mlflow/logged-models/{}":                    "a=b",
	"POST /mlflow/model-versions/create":                 `{"name":"registered","source":"models:/{model}"}`,
	"GET /get-artifact":                                  "run_id={run}&path=a.txt",
}

// taken are requests that a script may not send, whatever they name.
var taken = map[string]string{
	"DELETE /mlflow/registered-models/delete": `{"name":"registered"}`,
	"POST /mlflow/registered-models/rename":   `{"name":"registered","new_name":"n"}`,
	"DELETE /mlflow/model-versions/delete":    `{"name":"registered","version":"1"}`,
}

// unbound are the routes by which nothing of another experiment or run is named.
var unbound = []string{
	"GET /mlflow/experiments/search", "POST /mlflow/experiments/search", // which show its own, see TestScopeOfSearches
	"GET /", "HEAD /", "GET /health", "HEAD /health", "GET /version", "GET /mlflow/server-info",
	"PUT /mlflow-artifacts/mpu/parts/{}/{}", // whose upload names the file, see TestUploadOfAScript
	// The registry is everybody's; a version's source is not, see foreign.
	"POST /mlflow/registered-models/create", "GET /mlflow/registered-models/get", "PATCH /mlflow/registered-models/update",
	"GET /mlflow/registered-models/search", "POST /mlflow/registered-models/search",
	"GET /mlflow/registered-models/get-latest-versions", "POST /mlflow/registered-models/get-latest-versions",
	"POST /mlflow/registered-models/set-tag", "DELETE /mlflow/registered-models/delete-tag",
	"POST /mlflow/registered-models/alias", "GET /mlflow/registered-models/alias", "DELETE /mlflow/registered-models/alias",
	"GET /mlflow/model-versions/get", "GET /mlflow/model-versions/get-download-uri", "PATCH /mlflow/model-versions/update",
	"POST /mlflow/model-versions/transition-stage", "GET /mlflow/model-versions/search", "POST /mlflow/model-versions/set-tag",
	"DELETE /mlflow/model-versions/delete-tag", "GET /model-versions/get-artifact",
}

// named is what a request names.
type named struct{ run, experiment, model string }

// scoped is the handler for the script of a run, in a workspace with others.
type scoped struct {
	*served
	own, sibling, elsewhere named
}

func serveScoped(t *testing.T, allowed bool) *scoped {
	t.Helper()
	s := serve(t, nil)
	for _, name := range []string{"own", "other"} {
		post[createExperimentResponse](s, "experiments/create", object{"name": name})
	}
	made := func(experiment string) named {
		id := post[runResponse](s, "runs/create", object{"experiment_id": experiment}).Run.Info.RunID
		post[object](s, "runs/log-metric", object{"run_id": id, "key": "k", "value": 1, "timestamp": 1})
		require.Equal(t, http.StatusOK, s.send(http.MethodPut, "/api/2.0/mlflow-artifacts/artifacts/"+experiment+"/"+id+"/artifacts/a.txt", "", "a").status)
		return named{id, experiment, s.loggedModel(experiment, id)}
	}
	out := &scoped{served: s, own: named{run: "script", experiment: "own"}, sibling: made("own"), elsewhere: made("other")}
	post[object](s, "registered-models/create", object{"name": "registered"})
	post[object](s, "model-versions/create", object{"name": "registered", "source": "models:/" + out.elsewhere.model})
	owner := s.core.Owner()
	stored, err := history.Create(t.Context(), s.core, record.Run{ID: out.own.run, Experiment: "own", Type: "azureml.scriptrun", Status: record.Running,
		Owner: &owner, Definition: &record.Definition{AllowWorkspace: allowed}})
	require.NoError(t, err)
	s.handler = NewForRun(s.core, stored.Value, nil)
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		_, _, err := s.handler.Finish(context.Background())
		require.NoError(t, err)
	})
	s.url = server.URL
	return out
}

// loggedModel makes a logged model with a file.
func (s *served) loggedModel(experiment, run string) string {
	s.t.Helper()
	id := post[loggedModelResponse](s, "logged-models", object{"experiment_id": experiment, "source_run_id": run}).Model.Info.ModelID
	a := s.send(http.MethodPut, "/api/2.0/mlflow-artifacts/artifacts/"+experiment+"/models/"+id+"/artifacts/a.txt", "", "a")
	require.Equal(s.t, http.StatusOK, a.status, "%s", a.body)
	return id
}

// ask sends the request of a route about a target.
func (s *scoped) ask(route, request string, to named) answer {
	s.t.Helper()
	method, path, _ := strings.Cut(route, " ")
	request = strings.NewReplacer("{run}", to.run, "{exp}", to.experiment, "{model}", to.model).Replace(request)
	prefix := "/api/2.0"
	if path == "/get-artifact" {
		prefix = ""
	}
	path = prefix + strings.NewReplacer("/{}", "/"+to.model, "/tags/{...}", "/tags/k").Replace(path)
	switch {
	case strings.HasPrefix(request, "{"):
		return s.send(method, path, jsonType, request)
	case strings.HasPrefix(request, "/"):
		rest, body, _ := strings.Cut(request, " ")
		return s.send(method, strings.TrimSuffix(path, "/{...}")+rest, jsonType, body)
	}
	return s.send(method, path+"?"+request, "", "")
}

// requireRefused checks that the script is told that it may not, and how it may.
func requireRefused(t *testing.T, a answer, format string, args ...any) {
	t.Helper()
	require.Equal(t, http.StatusForbidden, a.status, "%s: %s", fmt.Sprintf(format, args...), a.body)
	if len(a.body) > 0 { // none for HEAD
		require.Equal(t, string(codeDenied), a.code())
		require.Contains(t, string(a.body), "--allow-workspace")
	}
}

func TestScopeOfEveryRoute(t *testing.T) {
	t.Parallel()
	s, free := serveScoped(t, false), serveScoped(t, true)
	for _, table := range tables() {
		for _, r := range table {
			name := r.method + " " + r.path
			if slices.Contains(unbound, name) {
				continue
			}
			if request, ok := taken[name]; ok {
				requireRefused(t, s.ask(name, request, s.own), "%s", name)
				continue
			}
			request, ok := foreign[name]
			require.True(t, ok, "decide what a script may do with %s", name)
			requireRefused(t, s.ask(name, request, s.elsewhere), "%s", name)
			if strings.Contains(request, "{run}") || strings.Contains(name+request, "{}") || strings.Contains(request, "{model}") {
				requireRefused(t, s.ask(name, request, s.sibling), "%s of another run of its experiment", name)
			}
			require.NotEqual(t, http.StatusForbidden, free.ask(name, request, free.elsewhere).status, "%s when allowed", name)
		}
	}
}

// TestScopeOfItsOwn sends the same requests about what is the script's own.
func TestScopeOfItsOwn(t *testing.T) {
	t.Parallel()
	s := serveScoped(t, false)
	require.Equal(t, http.StatusOK, s.ask("PUT /mlflow-artifacts/artifacts/{...}", "/own/script/artifacts/a.txt", s.own).status)
	s.own.model = s.loggedModel("own", s.own.run)
	for _, name := range []string{"POST /mlflow/experiments/set-experiment-tag", "POST /mlflow/runs/set-tag", "PATCH /mlflow/logged-models/{}/tags"} {
		require.Equal(t, http.StatusOK, s.ask(name, foreign[name], s.own).status, name) // others delete them
	}
	refused := map[string]int{
		"POST /mlflow/experiments/create":           http.StatusBadRequest, // it is there
		"POST /mlflow-artifacts/mpu/complete/{...}": http.StatusNotFound,   // there is no such upload
		"POST /mlflow/upload-artifact":              http.StatusBadRequest, // nothing is sent
		"POST /mlflow/experiments/update":           http.StatusForbidden, "POST /mlflow/experiments/delete": http.StatusForbidden, "POST /mlflow/experiments/restore": http.StatusForbidden,
	}
	last := []string{"POST /mlflow/runs/delete", "POST /mlflow/runs/restore", "DELETE /mlflow-artifacts/artifacts/{...}", "DELETE /mlflow/logged-models/{}"} // others need what these delete
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(foreign)), func(name string) bool { return slices.Contains(last, name) })
	for _, name := range append(names, last...) {
		want := refused[name]
		if want == 0 {
			want = http.StatusOK
		}
		a := s.ask(name, foreign[name], s.own)
		require.Equal(t, want, a.status, "%s: %s", name, a.body)
	}
}

// TestScopeOfTheRegistry: what is registered is everybody's to use.
func TestScopeOfTheRegistry(t *testing.T) {
	t.Parallel()
	s := serveScoped(t, false)
	uri := get[downloadURIResponse](s.served, "model-versions/get-download-uri?name=registered&version=1").ArtifactURI
	a := s.send(http.MethodGet, "/api/2.0/mlflow-artifacts/artifacts/"+strings.TrimPrefix(uri, proxyScheme)+"/a.txt", "", "")
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	require.Equal(t, "a", string(a.body))
	post[object](s.served, "model-versions/create", object{"name": "registered", "source": "models:/" + s.loggedModel("own", s.own.run)})
	post[object](s.served, "registered-models/alias", object{"name": "registered", "alias": "champion", "version": "2"})
	require.Equal(t, "2", get[modelVersionResponse](s.served, "registered-models/alias?name=registered&alias=champion").ModelVersion.Version)
}

func TestScopeOfSearches(t *testing.T) {
	t.Parallel()
	s := serveScoped(t, false)
	child := post[runResponse](s.served, "runs/create", object{"experiment_id": "own"}).Run
	require.Contains(t, child.Data.Tags, keyValue{parentTag, s.own.run})
	grandchild := post[runResponse](s.served, "runs/create", object{"experiment_id": "own", "tags": []object{{"key": parentTag, "value": child.Info.RunID}}}).Run
	require.Contains(t, grandchild.Data.Tags, keyValue{parentTag, child.Info.RunID})

	var ids []string
	for _, r := range post[searchRunsResponse](s.served, "runs/search", object{"experiment_ids": []string{"own"}}).Runs {
		ids = append(ids, r.Info.RunID)
	}
	require.ElementsMatch(t, []string{s.own.run, child.Info.RunID, grandchild.Info.RunID}, ids)
	require.Len(t, post[searchRunsResponse](s.served, "runs/search", object{"experiment_ids": []string{"own"}, "max_results": 1}).Runs, 1)
	for _, view := range []string{"ACTIVE_ONLY", "ALL"} {
		found := post[searchExperimentsResponse](s.served, "experiments/search", object{"view_type": view, "max_results": 10}).Experiments
		require.Len(t, found, 1)
		require.Equal(t, "own", found[0].ExperimentID)
	}

	stored, err := history.Get(t.Context(), s.core, grandchild.Info.RunID)
	require.NoError(t, err)
	require.Equal(t, s.own.run, stored.Value.MadeIn)
	require.Equal(t, child.Info.RunID, stored.Value.Parent)
}

// TestEndOfAScript: what a client says of the end of a driven run is taken as
// word that all was logged, and no more.
func TestEndOfAScript(t *testing.T) {
	t.Parallel()
	s := serveScoped(t, false)
	child := post[runResponse](s.served, "runs/create", object{"experiment_id": "own"}).Run.Info.RunID
	for step := range 10 {
		for _, id := range []string{s.own.run, child} {
			post[object](s.served, "runs/log-metric", object{"run_id": id, "key": "m", "value": 1, "timestamp": 1, "step": step})
		}
	}
	for _, status := range []string{"FINISHED", "FAILED", "KILLED"} {
		require.Equal(t, statusRunning, post[updateRunResponse](s.served, "runs/update", object{"run_id": s.own.run, "status": status}).RunInfo.Status)
	}
	own, err := history.Get(t.Context(), s.core, s.own.run)
	require.NoError(t, err)
	log, err := history.Metrics(s.core, own.Value)
	require.NoError(t, err)
	list, err := log.Recover(t.Context())
	require.NoError(t, err, "%v", list)
	post[object](s.served, "runs/log-metric", object{"run_id": s.own.run, "key": "m", "value": 1, "timestamp": 1, "step": 10})

	points, made, err := s.handler.Finish(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{child}, made)
	var sum uint64
	for _, n := range points {
		sum += n
	}
	require.EqualValues(t, 11, sum)
	again, _, err := s.handler.Finish(t.Context())
	require.NoError(t, err)
	require.Equal(t, points, again)
	a := s.send(http.MethodPost, "/api/2.0/mlflow/runs/log-metric", jsonType, fmt.Sprintf(`{"run_id":%q,"key":"m","value":1,"timestamp":1}`, s.own.run))
	require.Equal(t, http.StatusServiceUnavailable, a.status)
}

// TestMeasuring notes whether the script's client measures the machine.
func TestMeasuring(t *testing.T) {
	t.Parallel()
	s := serveScoped(t, true)
	log := func(run, key string) {
		post[object](s.served, "runs/log-batch", object{"run_id": run, "metrics": []object{{"key": key, "value": 1, "timestamp": 1}}})
	}
	log(s.own.run, "loss")
	log(s.own.run, "system/of_mine")
	get[runResponse](s.served, "runs/get?run_id="+s.sibling.run)
	log(s.sibling.run, "system/cpu_utilization_percentage")
	require.Equal(t, agent.NotMeasuring, s.handler.Measuring())
	get[runResponse](s.served, "runs/get?run_id="+s.own.run)
	require.Equal(t, agent.MayMeasure, s.handler.Measuring())
	log(s.own.run, "system/node_0/cpu_utilization_percentage")
	require.Equal(t, agent.Measures, s.handler.Measuring())
}

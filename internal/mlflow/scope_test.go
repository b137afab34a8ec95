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

	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// foreign are requests to all routes by which a script names something. {run}
// stands for a run, {exp} for an experiment; what is not the script's own must be
// refused. Whoever adds a route decides here.
var foreign = map[string]string{
	"GET /mlflow/experiments/get":                    "experiment_id={exp}",
	"GET /mlflow/experiments/get-by-name":            "experiment_name={exp}",
	"POST /mlflow/experiments/create":                `{"name":"{exp}"}`,
	"POST /mlflow/experiments/set-experiment-tag":    `{"experiment_id":"{exp}","key":"k","value":"v"}`,
	"POST /mlflow/experiments/delete-experiment-tag": `{"experiment_id":"{exp}","key":"k"}`,
	"POST /mlflow/experiments/update":                `{"experiment_id":"{exp}","new_name":"n"}`,
	"POST /mlflow/experiments/delete":                `{"experiment_id":"{exp}"}`,
	"POST /mlflow/experiments/restore":               `{"experiment_id":"{exp}"}`,
	"POST /mlflow/runs/create":                       `{"experiment_id":"{exp}"}`,
	"GET /mlflow/runs/get":                           "run_id={run}",
	"POST /mlflow/runs/update":                       `{"run_id":"{run}","run_name":"n"}`,
	"POST /mlflow/runs/delete":                       `{"run_id":"{run}"}`,
	"POST /mlflow/runs/restore":                      `{"run_id":"{run}"}`,
	"POST /mlflow/runs/search":                       `{"experiment_ids":["{exp}"]}`,
	"POST /mlflow/runs/log-metric":                   `{"run_id":"{run}","key":"k","value":1,"timestamp":1}`,
	"POST /mlflow/runs/log-parameter":                `{"run_id":"{run}","key":"k","value":"v"}`,
	"POST /mlflow/runs/log-batch":                    `{"run_id":"{run}","metrics":[{"key":"k","value":1,"timestamp":1}]}`,
	"POST /mlflow/runs/set-tag":                      `{"run_id":"{run}","key":"k","value":"v"}`,
	"POST /mlflow/runs/delete-tag":                   `{"run_id":"{run}","key":"k"}`,
	"POST /mlflow/runs/log-inputs":                   `{"run_id":"{run}","datasets":[{"dataset":{"name":"n","digest":"d","source_type":"t","source":"s"}}]}`,
	"POST /mlflow/runs/outputs":                      `{"run_id":"{run}","models":[{"model_id":"m-1","step":1}]}`,
	"POST /mlflow/runs/log-model":                    `{"run_id":"{run}","model_json":"{\"artifact_path\":1,\"flavors\":1,\"utc_time_created\":1,\"run_id\":1}"}`,
	"GET /mlflow/metrics/get-history":                "run_id={run}&metric_key=k",
	"GET /mlflow/metrics/get-history-bulk":           "run_id={run}&metric_key=k",
	"GET /mlflow/metrics/get-history-bulk-interval":  "run_ids={run}&metric_key=k",
	"GET /mlflow/artifacts/list":                     "run_id={run}",
	"GET /mlflow-artifacts/artifacts":                "path={exp}/{run}/artifacts",
	"GET /mlflow-artifacts/artifacts/{...}":          "/{exp}/{run}/artifacts/a.txt",
	"HEAD /mlflow-artifacts/artifacts/{...}":         "/{exp}/{run}/artifacts/a.txt",
	"PUT /mlflow-artifacts/artifacts/{...}":          "/{exp}/{run}/artifacts/a.txt",
	"DELETE /mlflow-artifacts/artifacts/{...}":       "/{exp}/{run}/artifacts/a.txt",
	"GET /get-artifact":                              "run_id={run}&path=a.txt",
}

// unbound are the routes by which nothing of another experiment or run is named.
var unbound = []string{
	"GET /mlflow/experiments/search", "POST /mlflow/experiments/search", // which show its own, see TestScopeOfSearches
	"GET /health", "GET /version", "GET /mlflow/server-info",
}

// scoped is the handler for the script of a run, in a workspace with others.
type scoped struct {
	*served
	run, sibling, elsewhere string
}

func serveScoped(t *testing.T, allowed bool) *scoped {
	t.Helper()
	s := serve(t, nil)
	for _, name := range []string{"own", "other"} {
		post[createExperimentResponse](s, "experiments/create", object{"name": name})
	}
	made := func(experiment string) string {
		id := post[runResponse](s, "runs/create", object{"experiment_id": experiment}).Run.Info.RunID
		post[object](s, "runs/log-metric", object{"run_id": id, "key": "k", "value": 1, "timestamp": 1})
		require.Equal(t, http.StatusOK, s.send(http.MethodPut, "/api/2.0/mlflow-artifacts/artifacts/"+experiment+"/"+id+"/artifacts/a.txt", "", "a").status)
		return id
	}
	out := &scoped{served: s, run: "script", sibling: made("own"), elsewhere: made("other")}
	owner := s.core.Owner()
	stored, err := history.Create(t.Context(), s.core, record.Run{ID: out.run, Experiment: "own", Type: "azureml.scriptrun", Status: record.Running,
		Owner: &owner, Definition: &record.Definition{AllowWorkspace: allowed}})
	require.NoError(t, err)
	s.handler = NewForRun(s.core, stored.Value)
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		_, _, err := s.handler.Finish(context.Background())
		require.NoError(t, err)
	})
	s.url = server.URL
	return out
}

// ask sends the request of a route about a run of an experiment.
func (s *scoped) ask(route, request, run, experiment string) answer {
	s.t.Helper()
	method, path, _ := strings.Cut(route, " ")
	request = strings.NewReplacer("{run}", run, "{exp}", experiment).Replace(request)
	prefix := "/api/2.0"
	if path == "/get-artifact" {
		prefix = ""
	}
	switch {
	case strings.HasPrefix(request, "{"):
		return s.send(method, prefix+path, jsonType, request)
	case strings.HasPrefix(request, "/"):
		return s.send(method, prefix+strings.TrimSuffix(path, "/{...}")+request, "", "")
	}
	return s.send(method, prefix+path+"?"+request, "", "")
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
			request, ok := foreign[name]
			require.True(t, ok, "decide what a script may do with %s", name)
			a := s.ask(name, request, s.elsewhere, "other")
			require.Equal(t, http.StatusForbidden, a.status, "%s: %s", name, a.body)
			if r.method != http.MethodHead {
				require.Equal(t, string(codeDenied), a.code())
				require.Contains(t, string(a.body), "--allow-workspace", name)
			}
			if strings.Contains(request, "{run}") {
				require.Equal(t, http.StatusForbidden, s.ask(name, request, s.sibling, "own").status, "%s of another run of its experiment", name)
			}
			require.NotEqual(t, http.StatusForbidden, free.ask(name, request, free.elsewhere, "other").status, "%s when allowed", name)
		}
	}
	require.NotEmpty(t, foreign)
}

// TestScopeOfItsOwn sends the same requests about the script's own run.
func TestScopeOfItsOwn(t *testing.T) {
	t.Parallel()
	s := serveScoped(t, false)
	require.Equal(t, http.StatusOK, s.ask("PUT /mlflow-artifacts/artifacts/{...}", "/own/script/artifacts/a.txt", "", "").status)
	refused := map[string]int{
		"POST /mlflow/experiments/create": http.StatusBadRequest, // it is there
		"POST /mlflow/experiments/update": http.StatusForbidden, "POST /mlflow/experiments/delete": http.StatusForbidden, "POST /mlflow/experiments/restore": http.StatusForbidden,
	}
	last := "DELETE /mlflow-artifacts/artifacts/{...}" // and others need the file
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(foreign)), func(name string) bool {
		return name == last || strings.Contains(name, "delete") || strings.Contains(name, "update")
	})
	for _, name := range append(names, "POST /mlflow/experiments/update", "POST /mlflow/experiments/delete", last) {
		want := refused[name]
		if want == 0 {
			want = http.StatusOK
		}
		a := s.ask(name, foreign[name], s.run, "own")
		require.Equal(t, want, a.status, "%s: %s", name, a.body)
	}
}

func TestScopeOfSearches(t *testing.T) {
	t.Parallel()
	s := serveScoped(t, false)
	child := post[runResponse](s.served, "runs/create", object{"experiment_id": "own"}).Run
	require.Contains(t, child.Data.Tags, keyValue{parentTag, s.run})
	grandchild := post[runResponse](s.served, "runs/create", object{"experiment_id": "own", "tags": []object{{"key": parentTag, "value": child.Info.RunID}}}).Run
	require.Contains(t, grandchild.Data.Tags, keyValue{parentTag, child.Info.RunID})

	var ids []string
	for _, r := range post[searchRunsResponse](s.served, "runs/search", object{"experiment_ids": []string{"own"}}).Runs {
		ids = append(ids, r.Info.RunID)
	}
	require.ElementsMatch(t, []string{s.run, child.Info.RunID, grandchild.Info.RunID}, ids)
	require.Len(t, post[searchRunsResponse](s.served, "runs/search", object{"experiment_ids": []string{"own"}, "max_results": 1}).Runs, 1)
	for _, view := range []string{"ACTIVE_ONLY", "ALL"} {
		found := post[searchExperimentsResponse](s.served, "experiments/search", object{"view_type": view, "max_results": 10}).Experiments
		require.Len(t, found, 1)
		require.Equal(t, "own", found[0].ExperimentID)
	}

	stored, err := history.Get(t.Context(), s.core, grandchild.Info.RunID)
	require.NoError(t, err)
	require.Equal(t, s.run, stored.Value.MadeIn)
	require.Equal(t, child.Info.RunID, stored.Value.Parent)
}

// TestEndOfAScript: what a client says of the end of a driven run is taken as
// word that all was logged, and no more.
func TestEndOfAScript(t *testing.T) {
	t.Parallel()
	s := serveScoped(t, false)
	child := post[runResponse](s.served, "runs/create", object{"experiment_id": "own"}).Run.Info.RunID
	for step := range 10 {
		for _, id := range []string{s.run, child} {
			post[object](s.served, "runs/log-metric", object{"run_id": id, "key": "m", "value": 1, "timestamp": 1, "step": step})
		}
	}
	for _, status := range []string{"FINISHED", "FAILED", "KILLED"} {
		require.Equal(t, statusRunning, post[updateRunResponse](s.served, "runs/update", object{"run_id": s.run, "status": status}).RunInfo.Status)
	}
	log, err := history.Metrics(s.core, s.run)
	require.NoError(t, err)
	list, err := log.Recover(t.Context())
	require.NoError(t, err, "%v", list)
	post[object](s.served, "runs/log-metric", object{"run_id": s.run, "key": "m", "value": 1, "timestamp": 1, "step": 10})

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
	a := s.send(http.MethodPost, "/api/2.0/mlflow/runs/log-metric", jsonType, fmt.Sprintf(`{"run_id":%q,"key":"m","value":1,"timestamp":1}`, s.run))
	require.Equal(t, http.StatusServiceUnavailable, a.status)
}

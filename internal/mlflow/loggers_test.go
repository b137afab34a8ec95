package mlflow

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// by is who sends requests in the tests of the audit log.
func by(r *http.Request) string { return r.Header.Get("Accept") }

// sendAs sends a request in somebody's name, which must be answered well.
func (s *served) sendAs(who, method, path, body string) {
	s.t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", jsonType)
	r.Header.Set("Accept", who)
	s.handler.ServeHTTP(w, r)
	require.Equal(s.t, http.StatusOK, w.Code, "%s %s: %s", method, path, w.Body)
}

// linesOf counts the lines of the audit log that somebody's writes have left.
func (s *served) linesOf(who string) int { return strings.Count(s.audit(), `"who":"`+who+`"`) }

// things are what the requests of TestEveryWriteIsAudited are about.
type things struct {
	run, deletedRun, model, experiment string
	upload                             *inParts
	part                               uploadedPart
}

// writes are a request for each route that writes: path and body.
var writes = map[string]func(things) (string, object){
	"POST /mlflow/experiments/create": func(things) (string, object) { return "", object{"name": "fresh"} },
	"POST /mlflow/experiments/update": func(x things) (string, object) {
		return "", object{"experiment_id": x.experiment, "new_name": "renamed"}
	},
	"POST /mlflow/experiments/delete":  func(x things) (string, object) { return "", object{"experiment_id": x.experiment} },
	"POST /mlflow/experiments/restore": func(things) (string, object) { return "", object{"experiment_id": "gone"} },
	"POST /mlflow/experiments/set-experiment-tag": func(x things) (string, object) {
		return "", object{"experiment_id": x.experiment, "key": "k", "value": "v"}
	},
	"POST /mlflow/experiments/delete-experiment-tag": func(things) (string, object) { return "", object{"experiment_id": "e", "key": "tag"} },
	"POST /mlflow/runs/create":                       func(things) (string, object) { return "", object{"experiment_id": "e"} },
	"POST /mlflow/runs/update":                       func(x things) (string, object) { return "", object{"run_id": x.run, "run_name": "named"} },
	"POST /mlflow/runs/delete":                       func(x things) (string, object) { return "", object{"run_id": x.run} },
	"POST /mlflow/runs/restore":                      func(x things) (string, object) { return "", object{"run_id": x.deletedRun} },
	"POST /mlflow/runs/log-metric": func(x things) (string, object) {
		return "", object{"run_id": x.run, "key": "k", "value": 1, "timestamp": 1}
	},
	"POST /mlflow/runs/log-parameter": func(x things) (string, object) { return "", object{"run_id": x.run, "key": "k", "value": "1"} },
	"POST /mlflow/runs/log-batch": func(x things) (string, object) {
		return "", object{"run_id": x.run, "metrics": []object{{"key": "k", "value": 1, "timestamp": 1}}}
	},
	"POST /mlflow/runs/set-tag":    func(x things) (string, object) { return "", object{"run_id": x.run, "key": "k", "value": "v"} },
	"POST /mlflow/runs/delete-tag": func(x things) (string, object) { return "", object{"run_id": x.run, "key": "tag"} },
	"POST /mlflow/runs/log-inputs": func(x things) (string, object) {
		return "", object{"run_id": x.run, "models": []object{{"model_id": x.model}}}
	},
	"POST /mlflow/runs/outputs": func(x things) (string, object) {
		return "", object{"run_id": x.run, "models": []object{{"model_id": x.model, "step": 0}}}
	},
	"POST /mlflow/runs/log-model": func(x things) (string, object) {
		return "", object{"run_id": x.run, "model_json": `{"artifact_path":"m","flavors":{},"utc_time_created":"t","run_id":"r"}`}
	},
	"PUT /mlflow-artifacts/artifacts/{...}":     func(x things) (string, object) { return "e/" + x.run + "/artifacts/new", object{} },
	"DELETE /mlflow-artifacts/artifacts/{...}":  func(x things) (string, object) { return "e/" + x.run + "/artifacts/old", object{} },
	"POST /mlflow/upload-artifact":              func(x things) (string, object) { return "?run_id=" + x.run + "&path=new", object{} },
	"POST /mlflow-artifacts/mpu/create/{...}":   func(x things) (string, object) { return x.upload.folder, object{"path": "x", "num_parts": 1} },
	"PUT /mlflow-artifacts/mpu/parts/{}/{}":     func(x things) (string, object) { return x.upload.made.UploadID + "/1", object{} },
	"POST /mlflow-artifacts/mpu/complete/{...}": endOfUpload,
	"POST /mlflow-artifacts/mpu/abort/{...}":    endOfUpload,
	"POST /mlflow/logged-models":                func(things) (string, object) { return "", object{"experiment_id": "e"} },
	"PATCH /mlflow/logged-models/{}":            func(x things) (string, object) { return x.model, object{"model_id": x.model, "status": loggedReady} },
	"DELETE /mlflow/logged-models/{}":           func(x things) (string, object) { return x.model, object{} },
	"POST /mlflow/logged-models/{}/params": func(x things) (string, object) {
		return x.model, object{"params": []object{{"key": "k", "value": "v"}}}
	},
	"PATCH /mlflow/logged-models/{}/tags":        func(x things) (string, object) { return x.model, object{"tags": []object{{"key": "k", "value": "v"}}} },
	"DELETE /mlflow/logged-models/{}/tags/{...}": func(x things) (string, object) { return x.model + "/tag", object{} },
	"POST /mlflow/registered-models/create":      func(things) (string, object) { return "", object{"name": "fresh"} },
	"PATCH /mlflow/registered-models/update":     func(things) (string, object) { return "", object{"name": "m", "description": "d"} },
	"POST /mlflow/registered-models/rename":      func(things) (string, object) { return "", object{"name": "m", "new_name": "n"} },
	"DELETE /mlflow/registered-models/delete":    func(things) (string, object) { return "", object{"name": "m"} },
	"POST /mlflow/registered-models/set-tag":     func(things) (string, object) { return "", object{"name": "m", "key": "k", "value": "v"} },
	"DELETE /mlflow/registered-models/delete-tag": func(things) (string, object) {
		return "", object{"name": "m", "key": "tag"}
	},
	"POST /mlflow/registered-models/alias":   func(things) (string, object) { return "", object{"name": "m", "alias": "new", "version": "1"} },
	"DELETE /mlflow/registered-models/alias": func(things) (string, object) { return "", object{"name": "m", "alias": "old"} },
	"POST /mlflow/model-versions/create":     func(x things) (string, object) { return "", object{"name": "m", "source": "s3://b/m"} },
	"PATCH /mlflow/model-versions/update":    func(things) (string, object) { return "", object{"name": "m", "version": "1", "description": "d"} },
	"POST /mlflow/model-versions/transition-stage": func(things) (string, object) {
		return "", object{"name": "m", "version": "1", "stage": "Staging", "archive_existing_versions": false}
	},
	"POST /mlflow/model-versions/set-tag": func(things) (string, object) {
		return "", object{"name": "m", "version": "1", "key": "k", "value": "v"}
	},
	"DELETE /mlflow/model-versions/delete-tag": func(things) (string, object) { return "", object{"name": "m", "version": "1", "key": "tag"} },
	"DELETE /mlflow/model-versions/delete":     func(things) (string, object) { return "", object{"name": "m", "version": "1"} },
}

func endOfUpload(x things) (string, object) {
	return x.upload.folder, object{"path": x.upload.name, "upload_id": x.upload.made.UploadID, "parts": []uploadedPart{x.part}}
}

// prepare makes what the requests are about.
func (s *served) prepare() (x things) {
	s.t.Helper()
	x.experiment = "e"
	x.upload = s.beginUpload(1)
	x.part = x.upload.put(1, "content")
	_, rest, _ := strings.Cut(x.upload.folder, "e/")
	x.run, _, _ = strings.Cut(rest, "/")
	post[object](s, "runs/set-tag", object{"run_id": x.run, "key": "tag", "value": "v"})
	require.Equal(s.t, http.StatusOK, s.send("PUT", s.artifact(x.run, "old"), "", "old").status)
	x.deletedRun = post[runResponse](s, "runs/create", object{"experiment_id": "e"}).Run.Info.RunID
	post[object](s, "runs/delete", object{"run_id": x.deletedRun})
	x.model = post[loggedModelResponse](s, "logged-models", object{"experiment_id": "e", "tags": []object{{"key": "tag", "value": "v"}}}).Model.Info.ModelID
	post[object](s, "experiments/set-experiment-tag", object{"experiment_id": "e", "key": "tag", "value": "v"})
	post[object](s, "experiments/create", object{"name": "gone"})
	post[object](s, "experiments/delete", object{"experiment_id": "gone"})
	post[object](s, "registered-models/create", object{"name": "m", "tags": []object{{"key": "tag", "value": "v"}}})
	post[object](s, "model-versions/create", object{"name": "m", "source": "s3://b/m", "tags": []object{{"key": "tag", "value": "v"}}})
	post[object](s, "registered-models/alias", object{"name": "m", "alias": "old", "version": "1"})
	return x
}

// TestEveryWriteIsAudited sends a request to each route that writes: whoever adds
// one adds its request here.
func TestEveryWriteIsAudited(t *testing.T) {
	t.Parallel()
	for prefix, table := range tables() {
		for _, r := range table {
			if accessOf(r.method, r.path) != Read {
				t.Run(prefix+" "+r.method+" "+r.path, func(t *testing.T) { testAudited(t, prefix, r) })
			}
		}
	}
}

func testAudited(t *testing.T, prefix string, r route) {
	t.Parallel()
	name := r.method + " " + r.path
	write, there := writes[name]
	require.True(t, there, "add a request, which leaves a line in the audit log")
	s := serve(t, &Options{Principal: by})
	at, body := write(s.prepare())
	fixed, _, wild := strings.Cut(r.path, wildOne)
	if rest, cut := strings.CutSuffix(r.path, wildRest); cut && !wild {
		fixed = rest
	}
	if wild {
		id, behind, _ := strings.Cut(at, "/")
		at = id + strings.NewReplacer("/"+wildOne, "/"+behind, "/"+wildRest, "/"+behind).Replace(r.path[len(fixed)+len(wildOne):])
	}
	s.sendAs("ann@token:1", r.method, prefix+fixed+at, string(encode(t, body)))
	require.Positive(t, s.linesOf("ann@token:1"), "a write leaves a line")
}

// TestLogging counts the lines of what is logged: one an hour for each who logs,
// none for who has just made the run, and one for each change of what has ended.
func TestLogging(t *testing.T) {
	t.Parallel()
	s := serve(t, &Options{Principal: by})
	id := s.story()
	const api = "/api/2.0/mlflow/"
	log := func(who string) {
		t.Helper()
		s.sendAs(who, "POST", api+"runs/log-metric", `{"run_id":"`+id+`","key":"k","value":1,"timestamp":1}`)
	}
	own := s.linesOf("owner@test")
	log("")
	require.Equal(t, own, s.linesOf("owner@test"), "the creation says who logs")
	for range 3 {
		log("ann")
		s.sendAs("ann", "PUT", s.artifact(id, "ann.txt"), "x")
		s.sendAs("ann", "POST", api+"runs/log-parameter", `{"run_id":"`+id+`","key":"k","value":"v"}`)
	}
	require.Equal(t, 1+2, s.linesOf("ann"), "one for all, and one for each time that a file is replaced")
	require.Equal(t, 2, strings.Count(s.audit(), "artifact ann.txt replaced"))
	s.sendAs("ann", "DELETE", s.artifact(id, "ann.txt"), "")
	require.Contains(t, s.audit(), "artifact ann.txt deleted")

	last := s.handler.loggers.find(logger{"ann", artifact{runID: id}.ref()})
	last.at = last.at.Add(-tellEvery)
	log("ann")
	log("ann")
	require.Equal(t, 5, s.linesOf("ann"), "an hour later")

	post[object](s, "runs/update", object{"run_id": id, "status": "FINISHED"})
	for range 2 {
		log("bob")
		s.sendAs("bob", "POST", api+"runs/log-batch", `{"run_id":"`+id+`","params":[{"key":"late","value":"v"}]}`)
	}
	s.sendAs("bob", "PUT", s.artifact(id, "bob.txt"), "x")
	require.Equal(t, 5, s.linesOf("bob"), "each change of what has ended")
	require.Equal(t, 2, strings.Count(s.audit(), "metrics, after its end"))
}

// TestLoggersAreBounded lets more log than are kept in mind.
func TestLoggersAreBounded(t *testing.T) {
	t.Parallel()
	ls := loggers{known: map[logger]*toldLast{}}
	for range maxLoggers + 10 {
		ls.find(logger{who: time.Now().String() + randomName()})
	}
	require.LessOrEqual(t, len(ls.known), maxLoggers)
}

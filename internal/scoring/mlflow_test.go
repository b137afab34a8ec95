package scoring

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

// realModels makes models of MLflow's with a signature of columns and of a tensor,
// and a pickle of scikit-learn's, and serves the first two by what "mlflow models
// serve" serves with, below their names.
const realModels = `
import sys, joblib, numpy as np, pandas as pd, mlflow, mlflow.sklearn, uvicorn
from fastapi import FastAPI
from mlflow.models import infer_signature
from mlflow.pyfunc import scoring_server
from sklearn.linear_model import LogisticRegression, LinearRegression
out, port = sys.argv[1], int(sys.argv[2])
x = pd.DataFrame({"age": [20.5, 31.0, 44.25, 58.0, 63.5, 70.0], "fée": [1.0, 0.0, 1.0, 0.0, 1.0, 1.0]})
y = [0, 0, 0, 1, 1, 1]
columns, tensor = LogisticRegression().fit(x, y), LinearRegression().fit(x.to_numpy(), y)
joblib.dump(tensor, out + "/model.joblib")
app = FastAPI()
for name, model, data in ("columns", columns, x), ("tensor", tensor, x.to_numpy()):
    mlflow.sklearn.save_model(model, out + "/" + name, signature=infer_signature(data, model.predict(data)), pip_requirements=["mlflow", "scikit-learn"])
    app.mount("/" + name, scoring_server.init(mlflow.pyfunc.load_model(out + "/" + name)))
uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
`

// startModel serves a model by our worker until the test ends.
func startModel(t *testing.T, cfg PythonConfig) *service {
	t.Helper()
	cfg.Log, cfg.Env = &syncBuffer{}, map[string]string{"PYTHONHASHSEED": "0"}
	p, err := StartPython(t.Context(), cfg)
	require.NoError(t, err)
	return serve(t, options{MaxQueueWait: time.Minute}, p)
}

// startMLflow serves models by the real server until the test ends. It gives the
// folder with the models, which are there when it answers.
func startMLflow(t *testing.T, python string) (s *service, dir string) {
	t.Helper()
	port := strconv.Itoa(testenv.FreePort(t))
	dir = t.TempDir()
	said := &syncBuffer{}
	cmd := exec.Command(python, "-c", realModels, dir, port)
	cmd.Env = append(os.Environ(), "PYTHONHASHSEED=0", "MLFLOW_DISABLE_TELEMETRY=true")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, said, said
	ownGroup(cmd)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		killGroup(cmd.Process)
		_ = cmd.Wait()
		if t.Failed() {
			text := said.String()
			t.Logf("the end of the real server's log:\n%s", text[max(0, len(text)-2000):])
		}
	})
	s = &service{Server: &httptest.Server{URL: "http://127.0.0.1:" + port}}
	require.Eventually(t, func() bool {
		resp, err := s.client().Get(s.URL + "/tensor/ping")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 5*time.Minute, 100*time.Millisecond)
	return s, dir
}

// invocation is one request of MLflow's protocol.
type invocation struct{ kind, body string }

// randomInvocation gives a request that is good or has one of many faults.
func randomInvocation(random *rand.Rand) invocation {
	text := func(v any) string { data, _ := json.Marshal(v); return string(data) }
	cell := func() any {
		switch random.IntN(12) {
		case 0:
			return "word"
		case 1:
			return nil
		case 2:
			return random.IntN(100)
		case 3:
			return true
		}
		return float64(random.IntN(1000))/8 + 0.125
	}
	names := []string{"age", "fée"}
	switch random.IntN(8) {
	case 0:
		names = []string{"fée", "age"}
	case 1:
		names = []string{"age"}
	case 2:
		names = []string{"age", "fée", "more"}
	}
	rows, records, columns := [][]any{}, []map[string]any{}, map[string][]any{}
	for range random.IntN(4) {
		row, record := []any{}, map[string]any{}
		for _, name := range names {
			v := cell()
			row, record[name], columns[name] = append(row, v), v, append(columns[name], v)
		}
		rows, records = append(rows, row), append(records, record)
	}
	switch random.IntN(14) {
	case 0, 1:
		return invocation{"application/json", text(map[string]any{"dataframe_split": map[string]any{"columns": names, "data": rows}})}
	case 2, 3:
		return invocation{"application/json; charset=utf-8", text(map[string]any{"dataframe_records": records})}
	case 4:
		return invocation{"application/json", text(map[string]any{"inputs": columns})}
	case 5:
		return invocation{"application/json", text(map[string]any{"inputs": rows})}
	case 6:
		return invocation{"application/json", text(map[string]any{"instances": rows})}
	case 7:
		return invocation{"application/json", text(map[string]any{"instances": records})}
	case 8:
		var csv strings.Builder
		csv.WriteString(strings.Join(names, ",") + "\n")
		for _, row := range rows {
			for i, v := range row {
				fmt.Fprintf(&csv, "%s%v", strings.Repeat(",", min(i, 1)), v)
			}
			csv.WriteString("\n")
		}
		return invocation{"text/csv", csv.String()}
	case 9:
		return invocation{[]string{"application/xml", "application/json; charset=latin-1", "application/json; version=2", "text/plain"}[random.IntN(4)], text(rows)}
	case 10:
		return invocation{"application/json", []string{"", "[1, 2]", "{", "3", `"text"`, "\xff", "null", `{"data": [[1, 2]]}`, `{"dataframe_split": [1]}`, `{"dataframe_split": {"rows": 1}}`, `{"dataframe_records": {}}`}[random.IntN(11)]}
	case 11:
		return invocation{"application/json", text(map[string]any{"dataframe_split": map[string]any{"data": rows}, "inputs": rows})}
	case 12:
		return invocation{"application/json", text(map[string]any{"dataframe_split": map[string]any{"index": []int{3, 4}, "columns": names, "data": rows}})}
	}
	return invocation{"application/json", text(map[string]any{"dataframe_split": map[string]any{"columns": names, "data": rows}, "params": map[string]any{"more": 1}})}
}

// alike tells whether answers are the same but for the last bits of numbers, and for
// the traceback of errors, which we tell no client.
func alike(want, got any) bool {
	switch want := want.(type) {
	case float64:
		n, ok := got.(float64)
		return ok && math.Abs(want-n) <= 1e-12*math.Abs(want)
	case []any:
		list, ok := got.([]any)
		return ok && slices.EqualFunc(want, list, alike)
	case map[string]any:
		object, ok := got.(map[string]any)
		delete(want, "stack_trace")
		return ok && maps.EqualFunc(want, object, alike)
	}
	return reflect.DeepEqual(want, got)
}

// decoded gives a body's JSON value, or the body.
func decoded(body string) (v any) {
	if json.Unmarshal([]byte(body), &v) != nil {
		return body
	}
	return v
}

// TestModels: MLflow's protocol is answered as the real server does, /score in
// Azure ML's forms and with what the Open Inference Protocol makes of tensors.
func TestModels(t *testing.T) {
	t.Parallel()
	python := testenv.MLflow(t)
	real, dir := startMLflow(t, python)
	columns := startModel(t, PythonConfig{Python: python, Model: ModelMLflow, ModelDir: filepath.Join(dir, "columns")})
	testInvocations(t, real, "/columns", columns)
	tensor := startModel(t, PythonConfig{Python: python, Model: ModelMLflow, ModelDir: filepath.Join(dir, "tensor")})
	testInvocations(t, real, "/tensor", tensor)
	sklearn := startModel(t, PythonConfig{Python: python, Model: ModelSklearn, ModelDir: dir, ModelFile: "model.joblib"})
	testScore(t, sklearn, columns, tensor)
}

// testInvocations sends both the same requests.
func testInvocations(t *testing.T, theirs *service, below string, ours *service) {
	t.Helper()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	statuses := map[int]int{}
	for range 200 {
		req := randomInvocation(random)
		want := theirs.ask(t, http.MethodPost, below+"/invocations", req.body, "Content-Type: "+req.kind)
		got := ours.ask(t, http.MethodPost, "/invocations", req.body, "Content-Type: "+req.kind)
		statuses[want.status]++
		if want.status != got.status || want.header.Get("Content-Type") != got.header.Get("Content-Type") || !alike(decoded(want.body), decoded(got.body)) {
			t.Errorf("seed %d: %s %s:\n%d %s\nand not\n%d %s", seed, req.kind, req.body, got.status, got.body, want.status, want.body)
		}
		require.NotContains(t, got.body, "Traceback", "that is for the log")
	}
	require.True(t, statuses[http.StatusOK] > 20 && statuses[http.StatusBadRequest] > 20, "seed %d: the requests are of few kinds: %v", seed, statuses)
	for _, path := range []string{"/ping", "/health", "/version"} {
		want, got := theirs.ask(t, http.MethodGet, below+path, ""), ours.ask(t, http.MethodGet, path, "")
		require.Equal(t, []any{want.status, want.body, want.header.Get("Content-Type")}, []any{got.status, got.body, got.header.Get("Content-Type")}, path)
	}
}

func testScore(t *testing.T, sklearn, columns, tensor *service) {
	t.Helper()
	for name, test := range map[string]struct {
		model  *service
		body   string
		status int
		want   string // a part of the answer
	}{
		"rows":                    {sklearn, `{"data": [[20.5, 1], [70, 1]]}`, 200, `{"predict": [`},
		"a method":                {sklearn, `{"data": [[20.5, 1]], "method": "predict"}`, 200, `{"predict": [`},
		"another method":          {sklearn, `{"data": [[20.5, 1]], "method": "fit"}`, 400, "use predict."},
		"a private method":        {sklearn, `{"data": [[1, 1]], "method": "__class__"}`, 400, "no method"},
		"no data":                 {sklearn, `{"rows": []}`, 400, "Give the rows"},
		"no table":                {sklearn, `{"data": [[1], [1, 2]]}`, 400, "no table"},
		"no JSON":                 {sklearn, `{`, 400, "not JSON"},
		"a number":                {sklearn, `3`, 400, "neither an object nor a list"},
		"too few columns":         {sklearn, `{"data": [[1]]}`, 400, "rows of 2 values"},
		"no rows":                 {sklearn, `{"data": []}`, 400, "rows of 2 values"},
		"texts":                   {sklearn, `{"data": [["a", "b"]]}`, 400, "rows of 2 values"},
		"not a number":            {sklearn, `{"data": [[NaN, 1]]}`, 400, "rows of 2 values"},
		"objects":                 {sklearn, `{"data": [[{}, {}]]}`, 400, "rows of 2 values"},
		"nothing for columns":     {columns, `[]`, 400, "compatible"},
		"no number for columns":   {columns, `[[NaN, 1]]`, 400, "compatible"},
		"Azure ML's table":        {columns, `{"input_data": {"columns": ["age", "fée"], "index": [0], "data": [[20.5, 1]]}}`, 200, `[0]`},
		"another order":           {columns, `{"input_data": {"columns": ["fée", "age"], "data": [[1, 70]]}}`, 200, `[1]`},
		"rows alone":              {columns, `{"data": [[20.5, 1], [70, 1]]}`, 200, `[0, 1]`},
		"records":                 {columns, `{"data": [{"age": 70, "fée": 1}]}`, 200, `[1]`},
		"named tensors":           {columns, `{"inputs": {"age": [20.5, 70], "fée": [1, 1]}}`, 200, `[0, 1]`},
		"MLflow's form":           {columns, `{"dataframe_split": {"columns": ["age", "fée"], "data": [[20.5, 1]]}}`, 200, `[0]`},
		"a column is missing":     {columns, `{"input_data": {"columns": ["age"], "data": [[20.5]]}}`, 400, "missing inputs"},
		"rows that are too short": {columns, `{"data": [[20.5]]}`, 400, "the 2 values of the columns age"},
		"nothing":                 {columns, `{}`, 400, "input_data"},
		"a tensor":                {tensor, `{"data": [[20.5, 1]]}`, 200, `[`},
		"a wrong shape":           {tensor, `{"data": [[1, 2, 3]]}`, 400, "shape"},
	} {
		got := test.model.ask(t, http.MethodPost, "/score", test.body, "Content-Type: application/json")
		require.Equal(t, test.status, got.status, "%s: %s", name, got.body)
		require.Contains(t, got.body, test.want, name)
	}
	require.Equal(t, http.StatusNotFound, sklearn.ask(t, http.MethodPost, "/invocations", `{"inputs": [[1, 2]]}`).status)
	require.Equal(t, http.StatusNotFound, sklearn.ask(t, http.MethodGet, "/ping", "").status)
	require.Equal(t, http.StatusMethodNotAllowed, columns.ask(t, http.MethodGet, "/invocations", "").status)

	infer := func(s *service, body string) string {
		return s.ask(t, http.MethodPost, "/v2/models/model/infer", body, "Content-Type: application/json").body
	}
	require.Contains(t, infer(columns, `{"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [20.5, 1, 70, 1]}]}`), `"data":[0,1]`)
	require.Contains(t, infer(columns, `{"inputs": [{"name": "age", "shape": [2], "datatype": "FP64", "data": [20.5, 70]}, {"name": "fée", "shape": [2], "datatype": "FP64", "data": [1, 1]}]}`), `"data":[0,1]`)
	require.Contains(t, infer(sklearn, `{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [20.5, 1]}]}`), `"name":"predict"`)
	require.Contains(t, infer(tensor, `{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [20.5, 1]}]}`), `"datatype":"FP64"`)
}

// TestModelsThatFail: what can't be loaded says in which phase and why.
func TestModelsThatFail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.pkl"), []byte("no pickle"), 0o600))
	for name, test := range map[string]struct {
		cfg  PythonConfig
		want []string
	}{
		"no package": {PythonConfig{Python: needPython(t), Model: ModelMLflow, ModelDir: dir}, []string{"the model failed in phase import", "can't import mlflow"}},
		"no pickle":  {PythonConfig{Python: testenv.MLflow(t), Model: ModelSklearn, ModelDir: dir, ModelFile: "model.pkl"}, []string{"the model failed in phase init", "can't be loaded"}},
		"no file":    {PythonConfig{Python: needPython(t), Model: ModelSklearn, ModelDir: dir, ModelFile: "none.pkl"}, []string{"none.pkl"}},
	} {
		test.cfg.Log = io.Discard
		_, err := StartPython(t.Context(), test.cfg)
		for _, want := range test.want {
			require.ErrorContains(t, err, want, name)
		}
	}
}

package endpoint_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/model"
)

// signed registers a model with the signature.
func signed(t *testing.T, models *model.Client, s *model.Signature) *model.Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m")
	require.NoError(t, os.WriteFile(path, []byte("m"), 0o600))
	m, err := models.Register(t.Context(), "signed", path, &model.RegisterOptions{Signature: s})
	require.NoError(t, err)
	return m
}

// sums answers with the sum of each row.
func sums(_ context.Context, input json.RawMessage) (any, error) {
	var asked struct{ Data [][]float64 }
	if err := json.Unmarshal(input, &asked); err != nil {
		return nil, err
	}
	out := []float64{}
	for _, row := range asked.Data {
		sum := 0.0
		for _, v := range row {
			sum += v
		}
		out = append(out, sum)
	}
	return out, nil
}

func TestSignatureIsHeld(t *testing.T) {
	t.Parallel()
	ws := reopen(t, t.TempDir())
	m := signed(t, ws.Models(), &model.Signature{Inputs: []model.Field{{Name: "a", Type: "double"}, {Name: "b", Type: "long"}}, Outputs: []model.Field{{Type: "double"}}})
	answer := any([]float64{1})
	ep := deploy(t, ws, "svc", endpoint.Config{Model: m, Handler: func(context.Context, json.RawMessage) (any, error) { return answer, nil }},
		&endpoint.DeployOptions{PrimaryKey: "test-key"})
	code, body, _ := ask(t, "POST", ep.ScoringURI(), "test-key", `{"data": [[1.5, 2]]}`)
	require.Equal(t, 200, code, body)
	code, body, _ = ask(t, "POST", ep.ScoringURI(), "test-key", `{"data": [[1.5, 2], [1.5, 2.5]]}`)
	require.Equal(t, 400, code)
	require.Contains(t, body, `row 2: column \"b\": 2.5 is no long`)
	code, _, _ = ask(t, "POST", ep.ScoringURI(), "test-key", `{"rows": "of its own"}`)
	require.Equal(t, 200, code, "a form that the signature doesn't know is the script's")
	answer = []string{"secret"}
	code, body, _ = ask(t, "POST", ep.ScoringURI(), "test-key", `{"data": [[1.5, 2]]}`)
	require.Equal(t, 500, code)
	require.NotContains(t, body, "secret")
}

// The Open Inference Protocol is spoken by whatever is deployed: the endpoint is the
// model, its deployments are the versions.
func TestOpenInference(t *testing.T) {
	t.Parallel()
	ws := reopen(t, t.TempDir())
	m := signed(t, ws.Models(), &model.Signature{Inputs: []model.Field{{Name: "x", Type: "float64", Shape: []int{-1, 2}}},
		Outputs: []model.Field{{Name: "sum", Type: "float64", Shape: []int{-1}}}})
	ep := deploy(t, ws, "svc", endpoint.Config{Model: m, Handler: sums}, &endpoint.DeployOptions{Deployment: "blue", PrimaryKey: "test-key"})
	deploy(t, ws, "svc", endpoint.Config{Handler: text("green")}, &endpoint.DeployOptions{Deployment: "green"})
	url := ep.URL()
	const question = `{"id": "7", "inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1, 2, 3, 4.5]}]}`
	steps := []struct {
		method, path, key, body string
		status                  int
		want                    string
	}{
		{"GET", "/v2/health/ready", "", "", 200, `{"ready":true}`},
		{"GET", "/v2/models/svc", "", "", 401, ""},
		{"GET", "/v2/models/svc", "test-key", "", 200, `{"name":"svc","versions":["blue","green"],"platform":"azml","inputs":[{"name":"x","datatype":"FP64","shape":[-1,2]}],"outputs":[{"name":"sum","datatype":"FP64","shape":[-1]}]}`},
		{"POST", "/v2/models/svc/infer", "", question, 401, ""},
		{"POST", "/v2/models/svc/infer", "test-key", question, 200, `{"model_name":"svc","model_version":"blue","id":"7","outputs":[{"name":"sum","shape":[2],"datatype":"FP64","data":[3,7.5]}]}`},
		{"POST", "/v2/models/svc/versions/green/infer", "test-key", question, 200, `{"model_name":"svc","model_version":"green","id":"7","outputs":[{"name":"output-0","shape":[1],"datatype":"BYTES","data":["green"]}]}`},
		{"POST", "/v2/models/svc/versions/red/infer", "test-key", question, 404, ""},
		{"POST", "/v2/models/other/infer", "test-key", question, 404, ""},
		{"POST", "/v2/models/svc/infer", "test-key", `{"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}]}`, 400, `{"error":"invalid: input \"x\": its shape is [1 3], the model takes [-1 2]"}`},
		{"POST", "/v2/repository/index", "test-key", "", 200, `[{"name":"svc","version":"blue","state":"READY","reason":""},{"name":"svc","version":"green","state":"READY","reason":""}]`},
		{"POST", "/v2/repository/models/svc/load", "test-key", "", 200, ""},
		{"POST", "/v2/repository/models/svc/unload", "test-key", "", 403, ""},
	}
	for _, step := range steps {
		code, body, _ := ask(t, step.method, url+step.path, step.key, step.body)
		require.Equal(t, step.status, code, "%s %s: %s", step.method, step.path, body)
		if step.want != "" {
			require.JSONEq(t, step.want, body, "%s %s", step.method, step.path)
		}
	}
}

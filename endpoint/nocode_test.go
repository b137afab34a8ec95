package endpoint_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/model"
)

// flavored is a model of MLflow's that adds up columns.
var flavored = map[string]string{
	"MLmodel": `
flavors:
  python_function:
    loader_module: adder
    code: code
    python_version: 3.11.7
signature:
  inputs: '[{"type": "double", "name": "a"}, {"type": "double", "name": "b"}]'
  outputs: '[{"type": "double"}]'
`,
	"code/adder.py": `
class Adder:
    def predict(self, frame):
        return (frame["a"] + frame["b"]).to_numpy()

def _load_pyfunc(path):
    return Adder()
`,
	"requirements.txt": "mlflow\n",
}

// registerModel registers the files as a model.
func registerModel(t *testing.T, models *model.Client, files map[string]string, opts *model.RegisterOptions) *model.Model {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file(t, dir, name, text)
	}
	m, err := models.Register(t.Context(), "adder", dir, opts)
	require.NoError(t, err)
	return m
}

// TestModelAlone: a model is all that is given.
func TestModelAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ws := reopen(t, dir)
	m := registerModel(t, ws.Models(), flavored, nil)
	ep := deploy(t, ws, "adder", endpoint.Config{Model: m, Sample: []byte(`{"data": [[1, 2]]}`), Script: &endpoint.Script{
		Environment: environment.Spec{Python: environment.Python{UserManaged: true, InterpreterPath: testenv.MLflow(t)}}}}, nil)
	d := ep.Details().Current.Deployments[0]
	require.Equal(t, "model", d.Kind)
	require.Equal(t, []string{"adder:1"}, d.Models)
	var sums []float64
	require.NoError(t, ep.InvokeJSON(t.Context(), map[string]any{"input_data": map[string]any{"columns": []string{"b", "a"}, "data": [][]float64{{1, 2}, {3, 4.5}}}}, &sums, nil))
	require.Equal(t, []float64{3, 7.5}, sums)

	keys, err := ep.Keys(t.Context())
	require.NoError(t, err)
	status, body, _ := ask(t, http.MethodPost, ep.URL()+"/invocations", "", `{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}`, "Content-Type", "application/json")
	require.Equal(t, http.StatusUnauthorized, status, body)
	status, body, _ = ask(t, http.MethodPost, ep.URL()+"/invocations", keys.Primary, `{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}`, "Content-Type", "application/json")
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"predictions": [3.0]}`, body)
	status, _, _ = ask(t, http.MethodGet, ep.URL()+"/ping", "", "")
	require.Equal(t, http.StatusOK, status, "probes have no key")
	status, body, _ = ask(t, http.MethodPost, ep.URL()+"/v2/models/adder/infer", keys.Primary, `{"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [1]}, {"name": "b", "shape": [1], "datatype": "FP64", "data": [0.5]}]}`)
	require.Equal(t, http.StatusOK, status, body)
	var said struct {
		Outputs []struct{ Data []float64 }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &said))
	require.Equal(t, []float64{1.5}, said.Outputs[0].Data)
	require.NoError(t, ep.Stop(t.Context()))
	left, err := filepath.Glob(filepath.Join(dir, "cache", "endpoints", "*", "*"))
	require.NoError(t, err)
	require.Empty(t, left, "its working folder is removed")
}

// TestModelEnvironment: a model is served in the environment that it asks for.
func TestModelEnvironment(t *testing.T) {
	t.Parallel()
	with := func(files map[string]string) map[string]string {
		all := map[string]string{}
		for name, text := range flavored {
			all[name] = text
		}
		for name, text := range files {
			if all[name] = text; text == "" {
				delete(all, name)
			}
		}
		return all
	}
	pickle := map[string]string{"model.pkl": "x"}
	for name, test := range map[string]struct {
		files  map[string]string
		opts   *model.RegisterOptions
		python environment.Python
		want   string // a part of the error
	}{
		"requirements":    {flavored, nil, environment.Python{PythonVersion: "3.11", Pip: []string{"mlflow"}}, ""},
		"constraints":     {with(map[string]string{"requirements.txt": "mlflow\n-c constraints.txt\n", "constraints.txt": "numpy<3\n"}), nil, environment.Python{PythonVersion: "3.11", Pip: []string{"mlflow"}, Constraints: []string{"numpy<3"}}, ""},
		"conda":           {with(map[string]string{"requirements.txt": "", "conda.yaml": "dependencies:\n- python=3.10.4\n- pip:\n  - mlflow==3\n"}), nil, environment.Python{PythonVersion: "3.11", Pip: []string{"mlflow==3"}, Channels: nil}, ""},
		"none":            {with(map[string]string{"requirements.txt": ""}), nil, environment.Python{}, "name an environment"},
		"no function":     {with(map[string]string{"MLmodel": "flavors:\n  onnx: {}\n"}), nil, environment.Python{}, "python_function"},
		"a pickle":        {pickle, &model.RegisterOptions{Framework: "ScikitLearn", FrameworkVersion: "1.9.1"}, environment.Python{Pip: []string{"scikit-learn==1.9.1", "pandas"}}, ""},
		"any pickle":      {pickle, nil, environment.Python{}, "needs a scoring script"},
		"several pickles": {map[string]string{"a.pkl": "x", "b.pkl": "x"}, &model.RegisterOptions{Framework: "ScikitLearn"}, environment.Python{}, "needs a scoring script"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := open(t)
			m := registerModel(t, ws.Models(), test.files, test.opts)
			_, err := ws.Endpoints().Propose(t.Context(), "adder", endpoint.Config{Model: m}, nil)
			if test.want != "" {
				require.ErrorIs(t, err, azml.ErrInvalid)
				require.ErrorContains(t, err, test.want)
				return
			}
			require.NoError(t, err)
			env, err := ws.Environments().Get(t.Context(), environment.DefaultName, "1", nil)
			require.NoError(t, err)
			require.Equal(t, test.python, env.Spec().Python)
		})
	}
	ws := open(t)
	m := registerModel(t, ws.Models(), flavored, nil)
	other := registerModel(t, ws.Models(), flavored, nil)
	_, err := ws.Endpoints().Propose(t.Context(), "adder", endpoint.Config{Models: []*model.Model{m, other}}, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, "one model is served")
}

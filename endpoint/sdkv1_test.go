package endpoint_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/model"
)

// v1Script is a scoring script in a way that Azure ML's documentation and examples of
// SDK v1 write them, with a request and its answer.
type v1Script struct {
	name, source string
	models       []string // "weights", "second" or "folder"
	core         bool     // with azureml-core in its environment
	without      bool     // with nothing but Python in it
	contentType  string
	body, want   string
	logged       string
}

var v1Scripts = []v1Script{
	{name: "JSON and joblib", models: []string{"weights"}, body: `{"data": [[1, 2], [3, 4]]}`, want: `[12, 34]`, source: `
import json, joblib, numpy as np, os
def init():
    global model
    model_path = os.path.join(os.getenv('AZUREML_MODEL_DIR'), 'weights.pkl')
    model = joblib.load(model_path)
def run(raw_data):
    data = np.array(json.loads(raw_data)['data'])
    y_hat = data @ model
    return y_hat.tolist()
`},
	{name: "numpy schema", models: []string{"weights"}, contentType: "application/json", body: `{"data": [[1, 2]]}`, want: `[12]`, source: `
import os, joblib, numpy as np
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
input_sample = np.array([[10, 9]])
output_sample = np.array([3726])
def init():
    global model
    model = joblib.load(os.path.join(os.environ['AZUREML_MODEL_DIR'], 'weights.pkl'))
@input_schema('data', NumpyParameterType(input_sample))
@output_schema(NumpyParameterType(output_sample))
def run(data):
    try:
        return (data @ model).tolist()
    except Exception as e:
        return str(e)
`},
	{name: "pandas schema", contentType: "application/json", body: `{"data": [{"age": 3, "city": "Bern"}]}`, want: `"{\"result\": [\"BERN 3\"]}"`, source: `
import json, pandas as pd
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
import numpy as np
input_sample = pd.DataFrame({"age": pd.Series([0], dtype="int64"), "city": pd.Series(["example_value"], dtype="object")})
def init(): pass
@input_schema('data', PandasParameterType(input_sample))
@output_schema(NumpyParameterType(np.array([0])))
def run(data):
    try:
        result = data["city"].str.upper() + " " + data["age"].astype(str)
        return json.dumps({"result": result.tolist()})
    except Exception as e:
        return json.dumps({"error": str(e)})
`},
	{name: "nested schema", contentType: "application/json", body: `{"Inputs": {"data": [{"a": 1.5}, {"a": 2}]}, "GlobalParameters": 10}`, want: `{"Results": [15.0, 20.0]}`, source: `
import numpy as np, pandas as pd
from inference_schema.schema_decorators import input_schema, output_schema
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
data_sample = PandasParameterType(pd.DataFrame({"a": pd.Series([0.0], dtype="float64")}))
input_sample = StandardPythonParameterType({'data': data_sample})
result_sample = NumpyParameterType(np.array([0.0]))
def init(): pass
@input_schema('GlobalParameters', StandardPythonParameterType(1.0))
@input_schema('Inputs', input_sample)
@output_schema(StandardPythonParameterType({'Results': result_sample}))
def run(Inputs, GlobalParameters=1.0):
    return {"Results": (Inputs['data']["a"] * GlobalParameters).tolist()}
`},
	{name: "binary body", without: true, contentType: "application/octet-stream", body: "\xff\x00\x01", want: "\x01\x00\xff", source: `
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse
def init(): print("This is init()")
@rawhttp
def run(request):
    if request.method == 'GET':
        return AMLResponse(str.encode(request.full_path), 200)
    elif request.method == 'POST':
        return AMLResponse(request.get_data(False)[::-1], 200)
    else:
        return AMLResponse("bad request", 500)
`},
	{name: "uploaded image", without: true, contentType: "multipart/form-data; boundary=b0",
		body: "--b0\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n\x89P\r\n\r\n\x00--\r\n--b0\r\nContent-Disposition: form-data; name=\"size\"\r\n\r\n3\r\n--b0--\r\n",
		want: `["a.png", "image/png", "8950", 9, "3"]`, source: `
import json
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse
def init(): pass
@rawhttp
def run(request):
    if request.method == 'POST':
        image = request.files["image"]
        start = image.read(2)
        return AMLResponse(json.dumps([image.filename, image.content_type, start.hex(), 2 + len(image.read()), request.form["size"]]), 200)
    return AMLResponse("bad request", 500)
`},
	{name: "several models", models: []string{"weights", "folder"}, body: `1`, want: `[[10, 1], "labels"]`, source: `
import os, joblib
def init():
    global model, labels
    root = os.getenv("AZUREML_MODEL_DIR")
    model = joblib.load(os.path.join(root, "weights", "1", "weights.pkl"))
    with open(os.path.join(root, "folder", "1", "assets", "text", "labels.txt")) as f:
        labels = f.read()
def run(data): return [model.tolist(), labels]
`},
	{name: "folder of one model", models: []string{"folder"}, body: `1`, want: `["labels", ["index.txt", "text"]]`, source: `
import os
def init():
    global folder
    folder = os.path.join(os.getenv("AZUREML_MODEL_DIR"), "assets")
def run(data): return [open(os.path.join(folder, "text/labels.txt")).read(), sorted(os.listdir(folder))]
`},
	{name: "get_model_path", core: true, models: []string{"weights", "folder"}, body: `1`, want: `["weights.pkl", "assets", "weights.pkl", true]`, source: `
import os
from azureml.core.model import Model
def init():
    global paths
    paths = [Model.get_model_path('weights'), Model.get_model_path(model_name='folder'), Model.get_model_path('weights', version=1)]
def run(data): return [os.path.basename(p) for p in paths] + [all(map(os.path.exists, paths))]
`},
	{name: "logging", without: true, body: `x`, want: `{"calls": 1}`, logged: "scored x", source: `
import logging
calls = 0
def init():
    logging.basicConfig(level=logging.INFO)
    logging.info("Init complete")
def run(raw_data):
    global calls
    calls += 1
    logging.getLogger("score").info("scored %s", raw_data)
    return {"calls": calls}
`},
}

// TestScriptsOfSDKv1 runs them unchanged.
func TestScriptsOfSDKv1(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	python := testenv.InferenceServer(t)
	ws := open(t)
	weights, assets := filepath.Join(t.TempDir(), "weights.pkl"), filepath.Join(t.TempDir(), "assets")
	out, err := exec.CommandContext(ctx, python, "-c", "import joblib, numpy, sys; joblib.dump(numpy.array([10, 1]), sys.argv[1])", weights).CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.MkdirAll(filepath.Join(assets, "text"), 0o700))
	file(t, assets, "index.txt", "index")
	file(t, filepath.Join(assets, "text"), "labels.txt", "labels")
	models := map[string]*model.Model{}
	for name, path := range map[string]string{"weights": weights, "folder": assets} {
		models[name], err = ws.Models().Register(ctx, name, path, nil)
		require.NoError(t, err)
	}
	for i, s := range v1Scripts {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file(t, dir, "score.py", s.source)
			cached := filepath.Join(dir, "azureml-models", "weights", "1") // which azureml-core keeps beside scripts
			require.NoError(t, os.MkdirAll(cached, 0o700))
			file(t, cached, "before.pkl", "")
			interpreter := python
			switch {
			case s.core:
				interpreter = testenv.AzureMLCore(t)
			case s.without:
				interpreter = testenv.Python(t)
			}
			config := endpoint.Config{Script: &endpoint.Script{Source: dir, EntryScript: "score.py",
				Environment: environment.Spec{Python: environment.Python{UserManaged: true, InterpreterPath: interpreter}}}}
			for _, name := range s.models {
				config.Models = append(config.Models, models[name])
			}
			ep := deploy(t, ws, "script-"+string(rune('a'+i)), config, nil)
			code, body, _ := ask(t, "POST", ep.ScoringURI(), mustKey(t, ep), s.body, "Content-Type", s.contentType)
			require.Equal(t, 200, code, body)
			require.Equal(t, s.want, body)
			if s.logged != "" {
				require.NoError(t, ep.Stop(ctx), "which writes it")
				log, err := ep.Logs(ctx, nil)
				require.NoError(t, err)
				text, err := io.ReadAll(log)
				require.NoError(t, err)
				require.NoError(t, log.Close())
				require.Contains(t, string(text), s.logged)
			}
		})
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/workspace"
)

// modelPackages are what the forest is made and asked with, in the environment that
// the peer is in, too.
var modelPackages = []string{"scikit-learn==1.9.1", "skl2onnx==1.20.0", "onnxruntime==1.32.0", "azureml-inference-server-http==1.5.1"}

// makeForest makes a forest of 100 trees for rows of 20 numbers, as a pickle and as an
// ONNX model.
const makeForest = `
import joblib, numpy
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

random = numpy.random.default_rng(7)
x = random.normal(size=(2000, 20)).astype(numpy.float32)
model = RandomForestClassifier(100, max_depth=8, random_state=7).fit(x, x[:, 0] + x[:, 1] > 0)
joblib.dump(model, "forest.joblib")
open("forest.onnx", "wb").write(to_onnx(model, x[:1], options={"zipmap": False}).SerializeToString())
`

// The scoring scripts, for the library and the peer alike; the peer does not know
// run_batch.
const (
	sklearnScript = `
import json, os, joblib, numpy

def init():
    global predict
    predict = joblib.load(os.path.join(os.path.dirname(__file__), "forest.joblib")).predict
` + rowsScript
	onnxScript = `
import json, os, numpy, onnxruntime

def init():
    global predict
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(os.path.join(os.path.dirname(__file__), "forest.onnx"), options)
    predict = lambda rows: session.run(["label"], {"X": rows})[0]
` + rowsScript
	rowsScript = `
def run(data):
    return predict(numpy.array(json.loads(data)["data"], dtype=numpy.float32)).tolist()

def run_batch(inputs):
    rows = [json.loads(data)["data"] for data in inputs]
    found = iter(predict(numpy.array([row for some in rows for row in some], dtype=numpy.float32)).tolist())
    return [[next(found) for _ in some] for some in rows]
`
)

// forest is what was made for the figures of a model.
type forest struct {
	b      *bench
	dir    string // with models and scripts
	python string
}

func (b *bench) newForest(ctx context.Context) (*forest, error) {
	python, err := b.venv(ctx, "models", modelPackages)
	if err != nil {
		return nil, err
	}
	dir, err := b.files("forest", map[string]string{"make.py": makeForest, "sklearn_score.py": sklearnScript, "onnx_score.py": onnxScript})
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, python, "make.py")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make the models: %w: %s", err, out)
	}
	return &forest{b, dir, python}, nil
}

// starting starts one of the servers that are measured beside each other.
type starting func(ctx context.Context) (*server, error)

// benchSklearn measures a model of scikit-learn's by a script, with requests sent
// together where that pays, and each alone.
func benchSklearn(ctx context.Context, b *bench) error {
	f, err := b.newForest(ctx)
	if err != nil {
		return err
	}
	const script = "sklearn_score.py"
	return b.measureForest(ctx, "sklearn", f.script("together", script, 0), b.bare, f.script("each alone", script, 1), f.peer(script))
}

// benchONNX measures the same model as an ONNX model without a script, and by one.
func benchONNX(ctx context.Context, b *bench) error {
	f, err := b.newForest(ctx)
	if err != nil {
		return err
	}
	const script = "onnx_score.py"
	return b.measureForest(ctx, "onnx", f.inProcess("together", 0), b.bare, f.inProcess("each alone", 1), f.script("by a script", script, 0), f.peer(script))
}

func (b *bench) bare(ctx context.Context) (*server, error) {
	return b.startChild(ctx, "bare net/http", childBare)
}

// measureForest measures servers that answer the same request.
func (b *bench) measureForest(ctx context.Context, name string, list ...starting) (err error) {
	row := strings.TrimSuffix(strings.Repeat("0.25,", 20), ",")
	var servers []*server
	for _, start := range list {
		s, err := start(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.end()) }()
		s.request = posting(s.target, "/score", `{"data": [[`+row+`]]}`)
		servers = append(servers, s)
	}
	for _, connections := range connectionCounts {
		if err := b.loadServers(ctx, fmt.Sprintf("http-%s-%d-connections", name, connections), connections, servers); err != nil {
			return err
		}
	}
	return nil
}

// script serves a script by an endpoint that sends at most so many requests together.
func (f *forest) script(name, script string, most int) starting {
	return func(ctx context.Context) (*server, error) {
		return f.b.startChild(ctx, name, childScript, f.python, f.dir, script, strconv.Itoa(most))
	}
}

// peer serves a script by the real azureml-inference-server-http.
func (f *forest) peer(script string) starting {
	return func(ctx context.Context) (*server, error) {
		return startServer(ctx, "azureml-inference-server-http", "/", func(port string) *exec.Cmd {
			cmd := exec.CommandContext(ctx, f.python, "-m", "azureml_inference_server_http", "--entry_script", script, "--port", port)
			cmd.Dir = f.dir
			return cmd
		})
	}
}

// inProcess serves the ONNX model by the program of the module onnx.
func (f *forest) inProcess(name string, most int) starting {
	return func(ctx context.Context) (*server, error) {
		program := filepath.Join(f.dir, "azml-onnx")
		if err := command(ctx, "go", "build", "-C", "onnx", "-o", program, "./cmd/azml-onnx"); err != nil {
			return nil, fmt.Errorf("build azml-onnx, in the repository: %w", err)
		}
		dir, err := f.b.sub("onnx")
		if err != nil {
			return nil, err
		}
		if err := f.propose(ctx, dir, most); err != nil {
			return nil, err
		}
		return startServer(ctx, name, "/", func(port string) *exec.Cmd {
			cmd := exec.CommandContext(ctx, program, "-workspace", filepath.Join(dir, "workspace"), "-python", f.python, "-address", "127.0.0.1:"+port, "forest")
			cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir) // not the user's
			return cmd
		})
	}
}

// propose deploys the ONNX model in a new workspace, for another process to serve.
func (f *forest) propose(ctx context.Context, dir string, most int) error {
	ws, err := workspace.Open(ctx, filepath.Join(dir, "workspace"), &workspace.OpenOptions{CacheDir: filepath.Join(dir, "azml"),
		SecretsKeyFile: filepath.Join(dir, "azml", "secrets.key")})
	if err != nil {
		return err
	}
	defer ws.Close(ctx)
	m, err := ws.Models().Register(ctx, "forest", filepath.Join(f.dir, "forest.onnx"), nil)
	if err != nil {
		return err
	}
	_, err = ws.Endpoints().Propose(ctx, "forest", endpoint.Config{Model: m, MaxBatch: most, MaxQueueWait: callTimeout},
		&endpoint.DeployOptions{Settings: &endpoint.Settings{Auth: endpoint.AuthNone}})
	return err
}

// serveScript is the child that serves a script: its folder, then interpreter, source,
// script and how many requests go together.
func serveScript(ctx context.Context, args []string) error {
	most, err := strconv.Atoi(args[4])
	if err != nil {
		return err
	}
	ws, err := openIn(ctx, args[0])
	if err != nil {
		return err
	}
	defer ws.Close(context.WithoutCancel(ctx))
	ep, err := ws.Endpoints().Deploy(ctx, "forest", endpoint.Config{MaxBatch: most, MaxQueueWait: callTimeout, Script: &endpoint.Script{Source: args[2], EntryScript: args[3],
		Environment: environment.Spec{Python: environment.Python{UserManaged: true, InterpreterPath: args[1]}}}}, nil)
	if err != nil {
		return err
	}
	return announceEndpoint(ctx, ep)
}

package onnx_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/onnx"
	"github.com/azml-go/azml/workspace"
)

// made are the models of testdata/models.py, made once.
var made struct {
	sync.Once
	dir   string
	cases []sample
	said  []byte
	err   error
}

// sample is a random input with what ONNX Runtime's Python gives for it.
type sample struct {
	Model  string
	Inputs map[string]struct {
		Shape []int64
		Data  any
	}
	Outputs map[string]any
}

func TestMain(m *testing.M) {
	code := m.Run()
	if made.dir != "" {
		_ = os.RemoveAll(made.dir)
	}
	os.Exit(code)
}

// models gives the folder of the models, and cases.
func models(t *testing.T) (string, []sample) {
	t.Helper()
	python := testenv.ONNX(t)
	made.Do(func() {
		seed := time.Now().UnixNano() % 1e6
		t.Logf("seed %d", seed)
		if made.dir, made.err = os.MkdirTemp("", "azml-onnx-"); made.err != nil { //nolint:usetesting // all tests share it
			return
		}
		cmd := exec.Command(python, "testdata/models.py", made.dir, fmt.Sprint(seed))
		if made.said, made.err = cmd.CombinedOutput(); made.err != nil {
			return
		}
		var text []byte
		if text, made.err = os.ReadFile(filepath.Join(made.dir, "cases.json")); made.err == nil {
			d := json.NewDecoder(bytes.NewReader(text))
			d.UseNumber()
			made.err = d.Decode(&made.cases)
		}
	})
	require.NoError(t, made.err, string(made.said))
	return made.dir, made.cases
}

// newRuntime gives the runtime with the library of the cache.
func newRuntime(t *testing.T) *onnx.Runtime {
	t.Helper()
	path, err := onnx.FindLibrary(t.Context(), testenv.ONNX(t))
	require.NoError(t, err)
	r, err := onnx.New(t.Context(), &onnx.Options{Library: path})
	require.NoError(t, err)
	return r
}

var open = workspacetest.Open

// register registers one of the models.
func register(t *testing.T, ws *workspace.Workspace, name string) *model.Model {
	t.Helper()
	dir, _ := models(t)
	m, err := ws.Models().Register(t.Context(), name, filepath.Join(dir, name+".onnx"), nil)
	require.NoError(t, err)
	return m
}

// served is an endpoint with its address, which an object of old forgets when it has
// heard nothing for minutes.
type served struct {
	*endpoint.Endpoint
	url string
}

// URL gives the address as it was when the endpoint began to answer.
func (s *served) URL() string { return s.url }

// deploy serves a model.
func deploy(t *testing.T, ws *workspace.Workspace, config endpoint.Config, serve endpoint.ServeOptions) (*served, error) {
	t.Helper()
	serve.Runtimes = []endpoint.Runtime{newRuntime(t)}
	ep, err := ws.Endpoints().Deploy(t.Context(), config.Model.Name(), config, &endpoint.DeployOptions{Serve: &serve,
		Settings: &endpoint.Settings{Auth: endpoint.AuthNone}})
	if err != nil {
		return nil, err
	}
	return &served{ep, ep.URL()}, nil
}

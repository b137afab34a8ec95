package endpoint_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/model"
)

// adders are a runtime whose models add up the columns of a and b, and say how many rows
// came.
type adders struct {
	loaded, closed atomic.Int32
	rows           atomic.Int64 // the most that came together
}

func (*adders) Format() string { return endpoint.FormatONNX }

func (r *adders) Load(_ context.Context, path string) (endpoint.Predictor, error) {
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "adder" {
		return nil, fmt.Errorf("%w: %q is no adder: %w", azml.ErrInvalid, text, err)
	}
	r.loaded.Add(1)
	return &adder{r}, nil
}

type adder struct{ of *adders }

func (*adder) Signature() model.Signature {
	return model.Signature{Inputs: []model.Field{{Name: "a", Type: "float32", Shape: []int{-1, 2}}, {Name: "b", Type: "int64", Shape: []int{-1, 2}}},
		Outputs: []model.Field{{Name: "sum", Type: "float64", Shape: []int{-1}}}}
}

func (p *adder) Close() error { p.of.closed.Add(1); return nil }

func (p *adder) Predict(_ context.Context, inputs []endpoint.Tensor) ([]endpoint.Tensor, error) {
	a, b := inputs[0].Data.([]float32), inputs[1].Data.([]int64)
	rows := inputs[0].Shape[0]
	for most := p.of.rows.Load(); rows > most && !p.of.rows.CompareAndSwap(most, rows); most = p.of.rows.Load() {
	}
	if b[0] == 13 {
		return nil, fmt.Errorf("%w: no thirteens", azml.ErrInvalid)
	}
	sums := make([]float64, rows)
	for i := range sums {
		sums[i] = float64(a[2*i]+a[2*i+1]) + float64(b[2*i]+b[2*i+1])
	}
	return []endpoint.Tensor{{Name: "sum", Shape: []int64{rows}, Data: sums}}, nil
}

// TestRuntime: a model that a runtime loads is served without a script.
func TestRuntime(t *testing.T) {
	t.Parallel()
	ws := open(t)
	m := registerModel(t, ws.Models(), map[string]string{"model.onnx": "adder"}, nil)
	runtime := &adders{}
	ep := deploy(t, ws, "adder", endpoint.Config{Model: m, Sample: []byte(`{"a": [[1, 2]], "b": [[3, 4]]}`)}, &endpoint.DeployOptions{
		Settings: &endpoint.Settings{Auth: endpoint.AuthNone}, Serve: &endpoint.ServeOptions{Runtimes: []endpoint.Runtime{runtime}}})
	require.Equal(t, "model", ep.Details().Current.Deployments[0].Kind)
	for body, want := range map[string]string{
		`{"inputs": {"a": [[1, 2]], "b": [[3, 4]]}}`:       `{"sum":[10]}`,
		`{"a": [[1, 2], [0.5, 0]], "b": [[3, 4], [1, 1]]}`: `{"sum":[10,2.5]}`,
		`{"a": [[1, 2]], "b": [[13, 4]]}`:                  `{"message":"no thirteens"}`,
		`{"a": [[1, 2]], "b": [[1, 2], [3, 4]]}`:           `{"sum":[6]}`, // the model's own business
		`{"a": [[1, 2]], "b": [[1.5, 2]]}`:                 `{"message":"input \"b\": 1.5 is no INT64; the model takes INT64 of shape [-1 2]"}`,
		`{"a": [[1, 2]]}`:                                  `{"message":"the input \"b\" is missing; the model takes a (FP32 of shape [-1 2]), b (INT64 of shape [-1 2])"}`,
	} {
		_, got, _ := ask(t, http.MethodPost, ep.URL()+"/score", "", body)
		require.JSONEq(t, want, got, body)
	}
	status, got, _ := ask(t, http.MethodPost, ep.URL()+"/v2/models/adder/infer", "", `{"inputs": [{"name": "b", "shape": [1, 2], "datatype": "INT64", "data": [3, 4]}, {"name": "a", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}`)
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"model_name": "adder", "model_version": "main", "outputs": [{"name": "sum", "shape": [1], "datatype": "FP64", "data": [10]}]}`, got)
	_, got, _ = ask(t, http.MethodGet, ep.URL()+"/swagger.json", "", "")
	require.Contains(t, got, `"sum"`)
	require.Equal(t, int64(2), runtime.rows.Load(), "a trial has shown that rows can go together")
	require.NoError(t, ep.Stop(t.Context()))
	require.Equal(t, [2]int32{1, 1}, [2]int32{runtime.loaded.Load(), runtime.closed.Load()})
}

// TestRuntimeRefuses: what does not go with a model in the serving process is told.
func TestRuntimeRefuses(t *testing.T) {
	t.Parallel()
	ws := open(t)
	m := registerModel(t, ws.Models(), map[string]string{"model.onnx": "adder"}, nil)
	broken := registerModel(t, ws.Models(), map[string]string{"model.onnx": "no adder"}, nil)
	two := registerModel(t, ws.Models(), map[string]string{"a.onnx": "adder", "b.onnx": "adder"}, nil)
	runtimes := []endpoint.Runtime{&adders{}}
	for name, c := range map[string]struct {
		config   endpoint.Config
		runtimes []endpoint.Runtime
		class    error
		want     string
	}{
		"no runtime":  {endpoint.Config{Model: m}, nil, azml.ErrUnsupported, "give one in Runtimes"},
		"broken":      {endpoint.Config{Model: broken}, runtimes, azml.ErrFailed, "is no adder"},
		"two files":   {endpoint.Config{Model: two}, runtimes, azml.ErrInvalid, "needs a scoring script"},
		"replicas":    {endpoint.Config{Model: m, Replicas: 2}, runtimes, azml.ErrInvalid, "raise MaxConcurrent"},
		"scaling":     {endpoint.Config{Model: m, Scaling: &endpoint.Scaling{Max: 2}}, runtimes, azml.ErrInvalid, "raise MaxConcurrent"},
		"variables":   {endpoint.Config{Model: m, Script: &endpoint.Script{Variables: map[string]string{"A": "b"}}}, runtimes, azml.ErrInvalid, "no environment"},
		"environment": {endpoint.Config{Model: m, Script: &endpoint.Script{Environment: environment.Spec{Python: environment.Python{Pip: []string{"x"}}}}}, runtimes, azml.ErrInvalid, "no environment"},
		"batch":       {endpoint.Config{Model: m, MaxBatch: -1}, runtimes, azml.ErrInvalid, "MaxBatch is negative"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ws.Endpoints().Deploy(t.Context(), "to-"+strings.ReplaceAll(name, " ", "-"), c.config, &endpoint.DeployOptions{Serve: &endpoint.ServeOptions{Runtimes: c.runtimes}})
			require.ErrorIs(t, err, c.class)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestLeftToOthers: what a process can't serve it leaves to others, says so, and goes on with
// what is served, until somebody serves what is new.
func TestLeftToOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ws, other := reopen(t, dir), reopen(t, dir)
	echo := func(_ context.Context, input json.RawMessage) (any, error) { return input, nil }
	ep := deploy(t, ws, "svc", endpoint.Config{Handler: echo}, nil)
	m := registerModel(t, ws.Models(), map[string]string{"model.onnx": "adder"}, nil)
	proposed, err := ws.Endpoints().Propose(t.Context(), "svc", endpoint.Config{Model: m}, &endpoint.DeployOptions{Deployment: "onnx"})
	require.NoError(t, err)
	declined := func() bool {
		require.NoError(t, ep.Refresh(t.Context()))
		hosts := ep.Details().Hosts
		return len(hosts) == 1 && strings.Contains(hosts[0].Error, "serve it with azml-onnx")
	}
	require.Eventually(t, declined, time.Minute, 10*time.Millisecond)
	require.NoError(t, ep.Stop(t.Context()))
	ep, err = ws.Endpoints().Serve(t.Context(), "svc", &endpoint.ServeOptions{Handler: echo})
	require.NoError(t, err, "it can serve what is served")
	require.True(t, declined())

	_, err = other.Endpoints().Serve(t.Context(), "svc", &endpoint.ServeOptions{Handler: echo, Runtimes: []endpoint.Runtime{&adders{}}})
	require.NoError(t, err)
	require.NoError(t, proposed.AwaitDeployed(t.Context(), nil))
	require.NoError(t, ep.Wait(t.Context()), "it lacks a part of what is served now")
}

// TestBatchHandler: a Go function that takes several requests gets each once, in one batch
// at a time, and each client its own answer.
func TestBatchHandler(t *testing.T) {
	t.Parallel()
	ws := open(t)
	var seen []string
	ep := deploy(t, ws, "double", endpoint.Config{BatchHandler: func(_ context.Context, inputs []json.RawMessage) ([]any, error) {
		var answers []any
		for _, input := range inputs {
			seen = append(seen, string(input)) // the race detector sees batches that run at once
			answers = append(answers, []any{input})
		}
		return answers, nil
	}}, nil)
	require.Equal(t, "handler", ep.Details().Current.Deployments[0].Kind)
	const many = 40
	var want []string
	var clients sync.WaitGroup
	for i := range many {
		want = append(want, strconv.Itoa(i))
		clients.Go(func() {
			var got []int
			if err := ep.InvokeJSON(t.Context(), i, &got, nil); err != nil || !slices.Equal(got, []int{i}) {
				t.Errorf("%d: %v %v", i, got, err)
			}
		})
	}
	clients.Wait()
	require.ElementsMatch(t, want, seen)
	require.NoError(t, ep.Stop(t.Context()))
	_, err := ws.Endpoints().Serve(t.Context(), "double", &endpoint.ServeOptions{BatchHandler: func(_ context.Context, inputs []json.RawMessage) ([]any, error) {
		return make([]any, len(inputs)), nil
	}})
	require.NoError(t, err, "as another process would that has it")
}

// slowAgain is a runtime that loads once, and then not until it is told to give up.
type slowAgain struct {
	adders
	again chan struct{} // closed when it is to load once more
}

func (r *slowAgain) Load(ctx context.Context, path string) (endpoint.Predictor, error) {
	if r.loaded.Load() == 0 {
		return r.adders.Load(ctx, path)
	}
	close(r.again)
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestStopEndsLoad: the end of the service does not wait for what a client has loaded, and
// is written down.
func TestStopEndsLoad(t *testing.T) {
	t.Parallel()
	ws := open(t)
	m := registerModel(t, ws.Models(), map[string]string{"model.onnx": "adder"}, nil)
	runtime := &slowAgain{again: make(chan struct{})}
	ep := deploy(t, ws, "adder", endpoint.Config{Model: m}, &endpoint.DeployOptions{PrimaryKey: "first-key",
		Serve: &endpoint.ServeOptions{Runtimes: []endpoint.Runtime{runtime}, ModelControl: endpoint.ModelControlExplicit}})
	change := func(what string) int {
		status, _, _ := ask(t, http.MethodPost, ep.URL()+"/v2/repository/models/adder/"+what, "first-key", "")
		return status
	}
	require.Equal(t, http.StatusOK, change("unload"))
	loaded := make(chan int, 1)
	go func() { loaded <- change("load") }()
	<-runtime.again
	require.NoError(t, ep.Stop(t.Context()))
	require.Equal(t, http.StatusInternalServerError, <-loaded)
	require.NoError(t, ep.Refresh(t.Context()))
	require.Empty(t, ep.Details().Hosts)
}

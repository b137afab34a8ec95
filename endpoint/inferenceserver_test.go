//go:build unix

package endpoint_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/internal/testenv"
)

// served is a script that Azure ML's own server runs.
func served(t *testing.T, source string) *endpoint.Script {
	t.Helper()
	s := script(t, source)
	s.Server, s.Environment.Python.InterpreterPath = endpoint.ServerInference, testenv.InferenceServer(t)
	return s
}

func TestScriptByTheInferenceServer(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws := reopen(t, dir)
	m, err := ws.Models().Register(ctx, "m", file(t, t.TempDir(), "m.txt", "weights"), nil)
	require.NoError(t, err)
	ep := deploy(t, ws, "real", endpoint.Config{Model: m, Script: served(t, scoring), Sample: []byte("[0]")}, nil)
	require.Equal(t, endpoint.ServerInference, ep.Details().Current.Deployments[0].Server)
	var answer struct {
		Model, Mine string
		Data        []int
	}
	require.NoError(t, ep.InvokeJSON(ctx, []int{1, 2}, &answer, nil))
	require.Equal(t, "weights", answer.Model)
	require.Equal(t, "variable", answer.Mine)
	require.Equal(t, []int{1, 2}, answer.Data)

	_, err = ws.Endpoints().Deploy(ctx, "real", endpoint.Config{Script: served(t, "def init(): raise ValueError('no weights')\ndef run(data): pass\n")},
		&endpoint.DeployOptions{Deployment: "broken"})
	require.ErrorIs(t, err, azml.ErrFailed)
	require.ErrorContains(t, err, "phase init")
	require.ErrorContains(t, err, "ValueError: no weights")
	require.NoError(t, ep.InvokeJSON(ctx, []int{3}, &answer, nil), "what was served goes on")
	require.Equal(t, []int{3}, answer.Data)
}

func TestServerOfNoUse(t *testing.T) {
	t.Parallel()
	ws := open(t)
	m, err := ws.Models().Register(t.Context(), "m", file(t, t.TempDir(), "m.txt", "weights"), nil)
	require.NoError(t, err)
	real := &endpoint.Script{Source: t.TempDir(), EntryScript: "score.py", Server: endpoint.ServerInference}
	for _, c := range []struct {
		name, text string
		config     endpoint.Config
	}{
		{"unknown", `"flask"`, endpoint.Config{Script: &endpoint.Script{EntryScript: "score.py", Server: "flask"}}},
		{"model alone", "EntryScript", endpoint.Config{Model: m, Script: &endpoint.Script{Server: endpoint.ServerInference}}},
		{"batches", "run_batch()", endpoint.Config{Script: real, MaxBatch: 8}},
		{"waits for a batch", "run_batch()", endpoint.Config{Script: real, MaxBatchWait: time.Millisecond}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := ws.Endpoints().Propose(t.Context(), "real", c.config, nil)
			require.ErrorIs(t, err, azml.ErrInvalid)
			require.ErrorContains(t, err, c.text)
		})
	}
}

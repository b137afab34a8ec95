package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// open opens a workspace in a temporary folder that is closed with the test.
func open(t *testing.T) (*workspace.Workspace, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ws")
	return reopen(t, dir), dir
}

func reopen(t *testing.T, dir string) *workspace.Workspace {
	t.Helper()
	ws, err := workspace.Open(t.Context(), dir, &workspace.OpenOptions{
		CacheDir: filepath.Join(filepath.Dir(dir), "cache"), SecretsKeyFile: filepath.Join(filepath.Dir(dir), "secrets.key")})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, ws.Close(ctx))
	})
	return ws
}

func TestStoryInProcess(t *testing.T) {
	ctx := t.Context()
	ws, dir := open(t)
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "churn", nil)
	require.NoError(t, err)
	weights := filepath.Join(t.TempDir(), "model.json")
	require.NoError(t, os.WriteFile(weights, []byte(`{"bias": 2}`), 0o600))
	r, err := exp.Run(ctx, func(ctx context.Context, r *run.Run) error {
		for step := range 100 {
			if err := r.Log("loss", 1/float64(step+1), &run.LogOptions{Step: int64(step)}); err != nil {
				return err
			}
		}
		return r.UploadFile(ctx, "outputs/model.json", weights, nil)
	}, nil)
	require.NoError(t, err)
	require.Equal(t, run.StatusCompleted, r.Status())
	require.Equal(t, 1, r.Number())

	sums, err := r.Summaries(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 100, sums["loss"].Count)
	require.Equal(t, 0.01, sums["loss"].Min)

	m, err := r.RegisterModel(ctx, "churn", "outputs/model.json", nil)
	require.NoError(t, err)
	require.Equal(t, "churn:1", m.ID())

	score := func(_ context.Context, input json.RawMessage) (any, error) {
		var v float64
		if err := json.Unmarshal(input, &v); err != nil {
			return nil, errors.Join(azml.ErrInvalid, err)
		}
		return v + 2, nil
	}
	ep, err := ws.Endpoints().Deploy(ctx, "churn", endpoint.Config{Model: m, Handler: score}, nil)
	require.NoError(t, err)
	var answer float64
	require.NoError(t, ep.InvokeJSON(ctx, 40, &answer, nil))
	require.Equal(t, 42.0, answer)
	require.ErrorIs(t, ws.Models().Delete(ctx, "churn", 1, nil), azml.ErrConflict)

	again := reopen(t, dir)
	r2, err := again.Runs().Get(ctx, r.ID(), nil)
	require.NoError(t, err)
	require.Equal(t, run.StatusCompleted, r2.Status())
	require.NoError(t, ws.Endpoints().Delete(ctx, "churn", nil))
	require.NoError(t, ws.Models().Delete(ctx, "churn", 1, nil))
}

func TestStorySubmitted(t *testing.T) {
	ctx := t.Context()
	ws, _ := open(t)
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "scripts", nil)
	require.NoError(t, err)
	src := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(src, "train.py"), []byte(`
import json, os, sys
print("hello", sys.argv[1:])
with open(os.environ["AZML_METRICS_FILE"], "a") as f:
    for i in range(10):
        f.write(json.dumps({"name": "acc", "value": i / 10, "step": i}) + "\n")
    f.write(json.dumps({"name": "odd", "value": float("nan")}) + "\n")
    f.write(json.dumps({"param": "lr", "value": 0.1}) + "\n")
os.makedirs("outputs", exist_ok=True)
open("outputs/model.txt", "w").write("model")
open("logs/a.log", "w").write("line\n")
`), 0o600))
	r, err := exp.Submit(ctx, experiment.ScriptRunConfig{Source: src, Script: "train.py", Arguments: []string{"--x", "1"}}, nil)
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, r.Wait(ctx, &run.WaitOptions{Output: &out}), func() string { b, _ := json.MarshalIndent(r.Details(), "", " "); return string(b) })
	require.Contains(t, out.String(), "hello ['--x', '1']")
	sums, err := r.Summaries(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 10, sums["acc"].Count)
	require.EqualValues(t, 1, sums["odd"].NaNs)
	require.Equal(t, "0.1", r.Details().Params["lr"])
	files, err := r.Files(ctx, "")
	require.NoError(t, err)
	require.Len(t, files, 1)
	names, err := r.LogNames(ctx)
	require.NoError(t, err)
	require.Contains(t, names, "logs/a.log")
	log, err := r.Logs(ctx, nil)
	require.NoError(t, err)
	text, err := io.ReadAll(log)
	require.NoError(t, err)
	require.Equal(t, out.String(), string(text))
}

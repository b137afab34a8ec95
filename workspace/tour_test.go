package workspace_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// The README's tour. A test of the repository holds that every line of its Go
// code stands here.
func Example() {
	if err := tour(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// churn:1 Completed
	// 42
	// [0 1 2]
}

func tour() error {
	base, err := os.MkdirTemp("", "azml-tour-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(base)
	for name, text := range map[string]string{"model.json": `{"bias": 2}`, "src/train.py": trainScript} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(base, name)), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(base, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	file, dir, source := filepath.Join(base, "model.json"), filepath.Join(base, "ws"), filepath.Join(base, "src")

	// Open a workspace, creating it in a new folder.
	ctx := context.Background()
	ws, err := workspace.Open(ctx, dir, nil)
	if err != nil {
		return err
	}
	defer ws.Close(ctx)

	if err := trainAndServe(ctx, ws, file); err != nil {
		return err
	}
	return submit(ctx, ws, source)
}

const trainScript = `
import json, os, sys
with open(os.environ["AZML_METRICS_FILE"], "a") as f:
    for step in range(3):
        f.write(json.dumps({"name": "loss", "value": step, "step": step}) + "\n")
open("outputs/model.txt", "w").write(sys.argv[2])
`

func trainAndServe(ctx context.Context, ws *workspace.Workspace, file string) error {
	// Train in this process: every point is kept as soon as Log returns.
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "churn", nil)
	if err != nil {
		return err
	}
	r, err := exp.Run(ctx, func(ctx context.Context, r *run.Run) error {
		for epoch := range 100 {
			loss := 1 / float64(epoch+1)
			if err := r.Log("loss", loss, &run.LogOptions{Step: int64(epoch)}); err != nil {
				return err
			}
		}
		return r.UploadFile(ctx, "outputs/model.json", file, nil)
	}, nil)
	if err != nil {
		return err
	}

	// Register the run's output as the next version of a model. No bytes move.
	m, err := r.RegisterModel(ctx, "churn", "outputs/model.json", &model.RegisterOptions{Tags: map[string]string{"team": "risk"}})
	if err != nil {
		return err
	}
	fmt.Println(m.ID(), r.Status())

	// Serve it: Azure ML's scoring contract behind a key, on a port of this machine.
	score := func(ctx context.Context, input json.RawMessage) (any, error) {
		var x float64
		err := json.Unmarshal(input, &x)
		return x + 2, err
	}
	ep, err := ws.Endpoints().Deploy(ctx, "churn", endpoint.Config{Model: m, Handler: score}, nil)
	if err != nil {
		return err
	}
	var answer float64
	if err := ep.InvokeJSON(ctx, 40, &answer, nil); err != nil {
		return err
	}
	fmt.Println(answer)
	return nil
}

func submit(ctx context.Context, ws *workspace.Workspace, source string) error {
	// Submit a script. It knows nothing of azml: it appends JSON lines to the file
	// that AZML_METRICS_FILE names and leaves its results in outputs/.
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "scripts", nil)
	if err != nil {
		return err
	}
	r, err := exp.Submit(ctx, experiment.ScriptRunConfig{
		Source: source, Script: "train.py", Arguments: []string{"--lr", "0.1"},
		Environment: environment.Spec{Python: environment.Python{PythonVersion: ">=3.8"}},
	}, nil)
	if err != nil {
		return err
	}
	if err := r.Wait(ctx, nil); err != nil { // cancelling ctx stops the waiting, r.Cancel the run
		return err
	}

	// Read what it logged.
	var losses []any
	for point, err := range r.Metrics(ctx, &run.MetricsOptions{Names: []string{"loss"}}) {
		if err != nil {
			return err
		}
		losses = append(losses, point.Value)
	}
	fmt.Println(losses)
	return nil
}

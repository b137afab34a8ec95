// Mlflow submits a training script that uses MLflow and scikit-learn as it would
// anywhere: autologging, a metric of each stage, a nested run, a logged and
// registered model. Then it reads all of that with the library, serves the
// registered model and scores held-out rows over HTTP.
//
//	go run ./examples/mlflow
//
// No server has to be started: while the script runs, its run answers MLflow's
// clients.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

const (
	name     = "breast-cancer-mlflow" // of the experiment, the model and the endpoint
	stages   = 80
	required = 0.93
)

func main() {
	dir := flag.String("workspace", "", "folder of the workspace (default: a new one among the temporary files)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := train(ctx, *dir)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mlflow:", err)
		os.Exit(1)
	}
}

func train(ctx context.Context, dir string) (err error) {
	if _, err := exec.LookPath("python3"); err != nil {
		return errors.New("there is no python3 on the PATH: install Python 3.10 or newer with its venv module (on Debian and Ubuntu: apt install python3-venv)")
	}
	source, err := sourceFolder()
	if err != nil {
		return err
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "azml-mlflow-"); err != nil {
			return err
		}
	}
	step := stopwatch()
	ws, err := workspace.Open(ctx, dir, nil)
	if err != nil {
		return err
	}
	// An interrupt cancels ctx, and with it a script that still runs.
	defer func() { err = errors.Join(err, ws.Close(ctx)) }()
	step("opened the workspace %s", dir)

	env, err := environment.FromRequirements("mlflow", filepath.Join(source, "requirements.txt"))
	if err != nil {
		return err
	}
	exp, err := ws.Experiments().CreateOrUpdate(ctx, name, nil)
	if err != nil {
		return err
	}
	// The script finds its run by itself: mlflow.start_run() joins it.
	r, err := exp.Submit(ctx, experiment.ScriptRunConfig{
		Source: source, Script: "train.py", Arguments: []string{"--stages", strconv.Itoa(stages), "--model-name", name}, Environment: env,
	}, nil)
	if err != nil {
		return err
	}
	step("submitted run %d (%s)", r.Number(), r.ID())
	err = r.Wait(ctx, &run.WaitOptions{Output: os.Stdout, Progress: func(d run.Details) { step("%s %s", d.Status, d.Reason) }})
	if err != nil {
		return err
	}
	if err := printRun(ctx, r); err != nil {
		return err
	}

	// The model that the script has registered.
	m, err := ws.Models().Get(ctx, name, 0, nil)
	if err != nil {
		return err
	}
	if m.RunID() != r.ID() {
		return fmt.Errorf("the newest version %s is of the run %q and not of this one", m.ID(), m.RunID())
	}
	step("found the registered model %s", m.ID())
	ep, err := ws.Endpoints().Deploy(ctx, name, endpoint.Config{
		Model: m, Script: &endpoint.Script{Environment: env}, // MLflow's models need no scoring script
	}, nil)
	if err != nil {
		return err
	}
	step("deployed it at %s", ep.ScoringURI())
	accuracy, err := scoreHeldOut(ctx, r, ep)
	if err != nil {
		return err
	}
	step("scored the held-out rows over HTTP: accuracy %.3f", accuracy)
	if accuracy <= required {
		return fmt.Errorf("an accuracy of %.3f is not above %.2f", accuracy, required)
	}
	return nil
}

// printRun prints what the script has logged, and what its children have.
func printRun(ctx context.Context, r *run.Run) error {
	summaries, err := r.Summaries(ctx)
	if err != nil {
		return err
	}
	for _, metric := range []string{"held_out_loss", "held_out_accuracy", "training_accuracy_score"} {
		s, ok := summaries[metric]
		if !ok {
			return fmt.Errorf("the run has no metric %s", metric)
		}
		if want := map[bool]int64{true: stages, false: 1}[strings.HasPrefix(metric, "held_out")]; int64(s.Count) != want {
			return fmt.Errorf("the metric %s has %d points and not %d", metric, s.Count, want)
		}
		last, _ := s.Last.Number()
		fmt.Printf("%9s%-24s %d points from %.3f to %.3f, the last %.3f\n", "", metric, s.Count, s.Min, s.Max, last)
	}
	fmt.Printf("%9s%-24s %s\n", "", "n_estimators", r.Details().Params["n_estimators"])
	children := 0
	for child, err := range r.Children(ctx, nil) {
		if err != nil {
			return err
		}
		children++
		fmt.Printf("%9s%-24s %s (%s)\n", "", "child", child.Details().DisplayName, child.Status())
	}
	if children != 1 {
		return fmt.Errorf("the run has %d children and not one", children)
	}
	return nil
}

// scoreHeldOut sends the rows that the script held out to the endpoint and gives
// the share that was answered right.
func scoreHeldOut(ctx context.Context, r *run.Run, ep *endpoint.Endpoint) (accuracy float64, err error) {
	file, err := r.Open(ctx, "holdout.json")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var held struct {
		Columns []string    `json:"columns"`
		Rows    [][]float64 `json:"rows"`
		Labels  []int       `json:"labels"`
	}
	if err := json.NewDecoder(file).Decode(&held); err != nil {
		return 0, fmt.Errorf("read holdout.json: %w", err)
	}
	var classes []int
	if err := ep.InvokeJSON(ctx, map[string]any{"input_data": map[string]any{"columns": held.Columns, "data": held.Rows}}, &classes, nil); err != nil {
		return 0, err
	}
	if len(classes) != len(held.Labels) {
		return 0, fmt.Errorf("%d answers to %d rows", len(classes), len(held.Labels))
	}
	right := 0
	for i, class := range classes {
		if class == held.Labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(classes)), nil
}

// sourceFolder finds the folder of the Python scripts beside this file.
func sourceFolder() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(file), "src")
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("the scripts are not where this program was built from: run it by `go run ./examples/mlflow`: %w", err)
	}
	return dir, nil
}

// stopwatch gives a function that prints what happened, and when: in seconds
// since the start.
func stopwatch() func(format string, args ...any) {
	start := time.Now()
	return func(format string, args ...any) {
		fmt.Printf("%5.1f s  %s\n", time.Since(start).Seconds(), strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}

// Script submits a plain scikit-learn training script to this machine, in an
// environment made of its own requirements, registers the model that it leaves in
// outputs/, deploys it with a scoring script, and scores held-out rows over HTTP.
//
//	go run ./examples/script
//
// The scripts in src know nothing of this library. The environment is built once
// for each content of requirements.txt and kept in the user's cache folder.
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
	"strings"
	"time"

	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

const (
	name     = "breast-cancer-script" // of the experiment, the model and the endpoint
	required = 0.93
)

func main() {
	dir := flag.String("workspace", "", "folder of the workspace (default: a new one among the temporary files)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := script(ctx, *dir)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "script:", err)
		os.Exit(1)
	}
}

func script(ctx context.Context, dir string) (err error) {
	if _, err := exec.LookPath("python3"); err != nil {
		return errors.New("there is no python3 on the PATH: install Python 3.9 or newer with its venv module (on Debian and Ubuntu: apt install python3-venv), or try ./examples/quickstart, which needs none")
	}
	source, err := sourceFolder()
	if err != nil {
		return err
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "azml-script-"); err != nil {
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

	// The environment: what requirements.txt names.
	env, err := environment.FromRequirements("scikit-learn", filepath.Join(source, "requirements.txt"))
	if err != nil {
		return err
	}

	// The run: a snapshot of the folder goes to the target, and the script starts there.
	exp, err := ws.Experiments().CreateOrUpdate(ctx, name, nil)
	if err != nil {
		return err
	}
	r, err := exp.Submit(ctx, experiment.ScriptRunConfig{
		Source: source, Script: "train.py", Arguments: []string{"--stages", "80"}, Environment: env,
	}, nil)
	if err != nil {
		return err
	}
	step("submitted run %d (%s)", r.Number(), r.ID())
	err = r.Wait(ctx, &run.WaitOptions{Output: os.Stdout, Progress: func(d run.Details) { step("%s %s", d.Status, d.Reason) }})
	if err != nil {
		return err
	}
	if err := printMetrics(ctx, r); err != nil {
		return err
	}

	// The model and its service, in the same environment.
	m, err := r.RegisterModel(ctx, name, "outputs/model.joblib", &model.RegisterOptions{Framework: "ScikitLearn"})
	if err != nil {
		return err
	}
	step("registered the model %s", m.ID())
	ep, err := ws.Endpoints().Deploy(ctx, name, endpoint.Config{
		Model: m, Script: &endpoint.Script{Source: source, EntryScript: "score.py", Environment: env},
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

// printMetrics prints what the script logged.
func printMetrics(ctx context.Context, r *run.Run) error {
	summaries, err := r.Summaries(ctx)
	if err != nil {
		return err
	}
	for _, metric := range []string{"loss", "accuracy"} {
		s := summaries[metric]
		last, _ := s.Last.Number()
		fmt.Printf("%9s%-8s  %d points from %.3f to %.3f, the last %.3f\n", "", metric, s.Count, s.Min, s.Max, last)
	}
	fmt.Printf("%9s%-8s  %v\n", "", "params", r.Details().Params)
	return nil
}

// scoreHeldOut sends the rows that the script held out to the endpoint and gives
// the share that was answered right.
func scoreHeldOut(ctx context.Context, r *run.Run, ep *endpoint.Endpoint) (accuracy float64, err error) {
	file, err := r.Open(ctx, "outputs/holdout.json")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var held struct {
		Rows   [][]float64 `json:"rows"`
		Labels []int       `json:"labels"`
	}
	if err := json.NewDecoder(file).Decode(&held); err != nil {
		return 0, fmt.Errorf("read outputs/holdout.json: %w", err)
	}
	var classes []int
	if err := ep.InvokeJSON(ctx, map[string]any{"rows": held.Rows}, &classes, nil); err != nil {
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
		return "", fmt.Errorf("the scripts are not where this program was built from: run it by `go run ./examples/script`: %w", err)
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

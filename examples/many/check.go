package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// mark is the highest run number and model version that a workspace has.
type mark struct{ number, version int }

// highest finds what was there before the workers start.
func highest(ctx context.Context, ws *workspace.Workspace) (mark, error) {
	var m mark
	for r, err := range ws.Runs().List(ctx, &run.ListOptions{Experiment: name}) {
		if err != nil {
			return m, err
		}
		m.number = max(m.number, r.Number())
	}
	latest, err := ws.Models().Get(ctx, name, model.Latest, nil)
	switch {
	case errors.Is(err, azml.ErrNotFound):
		return m, nil
	case err != nil:
		return m, err
	}
	m.version = latest.Version()
	return m, nil
}

// check reads everything back and compares it with what the workers did.
func check(ctx context.Context, ws *workspace.Workspace, batch string, before mark) error {
	var ids, numbers []int
	for r, err := range ws.Runs().List(ctx, &run.ListOptions{Experiment: name, Tags: map[string]string{"batch": batch}}) {
		if err != nil {
			return err
		}
		id, err := checkRun(ctx, r)
		if err != nil {
			return fmt.Errorf("run %d (%s): %w", r.Number(), r.ID(), err)
		}
		ids, numbers = append(ids, id), append(numbers, r.Number())
	}
	if err := contiguous(ids, 0); err != nil {
		return fmt.Errorf("the runs: %w", err)
	}
	fmt.Printf("ok: all %d runs are there and Completed, with all their points, params and files\n", runs)
	if err := contiguous(numbers, before.number+1); err != nil {
		return fmt.Errorf("the run numbers: %w", err)
	}
	fmt.Printf("ok: their numbers are %d to %d, none missing, none twice\n", before.number+1, before.number+runs)
	return checkModels(ctx, ws, batch, before)
}

// checkRun compares a run with what oneRun made, and gives its id.
func checkRun(ctx context.Context, r *run.Run) (id int, err error) {
	d := r.Details()
	if id, err = strconv.Atoi(d.Tags["id"]); err != nil {
		return 0, err
	}
	if d.Status != run.StatusCompleted {
		return 0, fmt.Errorf("it is %s: %s", d.Status, d.Reason)
	}
	if d.Params["id"] != strconv.Itoa(id) || d.Params["rate"] != fmt.Sprint(rate(id)) {
		return 0, fmt.Errorf("its params are %v", d.Params)
	}
	steps := map[string]int{}
	for m, err := range r.Metrics(ctx, nil) {
		if err != nil {
			return 0, err
		}
		step := steps[m.Name]
		want := value(id, step)
		if m.Name == "accuracy" {
			want = 1 - want
		}
		if got, ok := m.Number(); !ok || got != want || m.Step != int64(step) {
			return 0, fmt.Errorf("point %d of %s is %v at step %d instead of %v", step, m.Name, m.Value, m.Step, want)
		}
		steps[m.Name]++
	}
	if len(steps) != 2 || steps["loss"] != points || steps["accuracy"] != points {
		return 0, fmt.Errorf("it has %v points instead of %d of loss and accuracy each", steps, points)
	}
	return id, nil
}

// checkModels compares the registered versions with the runs they come from.
func checkModels(ctx context.Context, ws *workspace.Workspace, batch string, before mark) error {
	var versions []int
	from := map[string]bool{}
	for m, err := range ws.Models().List(ctx, &model.ListOptions{Name: name}) {
		if err != nil {
			return err
		}
		if m.Version() <= before.version {
			continue
		}
		if err := checkModel(ctx, ws, m, batch); err != nil {
			return fmt.Errorf("model %s: %w", m.ID(), err)
		}
		versions, from[m.RunID()] = append(versions, m.Version()), true
	}
	if err := contiguous(versions, before.version+1); err != nil {
		return fmt.Errorf("the versions of the model: %w", err)
	}
	if len(from) != runs {
		return fmt.Errorf("the models come from %d runs instead of %d", len(from), runs)
	}
	fmt.Printf("ok: versions %d to %d of the model, one from each run, with that run's content\n", before.version+1, before.version+runs)
	return nil
}

func checkModel(ctx context.Context, ws *workspace.Workspace, m *model.Model, batch string) error {
	r, err := ws.Runs().Get(ctx, m.RunID(), nil)
	if err != nil {
		return err
	}
	file, err := m.Open(ctx, "")
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	if want := "model of " + batch + "/" + r.Details().Tags["id"]; string(text) != want {
		return fmt.Errorf("it holds %q instead of %q", text, want)
	}
	return nil
}

// contiguous tells whether the numbers are first, first+1 … of as many as there
// are runs, in any order.
func contiguous(numbers []int, first int) error {
	if len(numbers) != runs {
		return fmt.Errorf("%d instead of %d", len(numbers), runs)
	}
	for i, n := range slices.Sorted(slices.Values(numbers)) {
		if n != first+i {
			return fmt.Errorf("%d where %d should be", n, first+i)
		}
	}
	return nil
}

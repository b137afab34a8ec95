package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// findExperiment finds an experiment by its name, else by its title, which is what
// MLflow's clients call its name. Errors: ErrNotFound; ErrInvalid when several have
// that title.
func findExperiment(ctx context.Context, ws *workspace.Workspace, name string) (*experiment.Experiment, error) {
	e, err := ws.Experiments().Get(ctx, name, nil)
	if !missing(err) && !errors.Is(err, azml.ErrInvalid) {
		return e, err
	}
	titled := ws.Experiments().Search(ctx, "title = "+quoted(name, "'"), &experiment.SearchOptions{View: experiment.All})
	var found []string
	for one, err := range titled {
		if err != nil {
			return nil, err
		}
		e, found = one, append(found, one.Name())
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf(`%w: no experiment has the name or title %q: "azml experiment list --all" tells which there are`, azml.ErrNotFound, name)
	case 1:
		return e, nil
	}
	return nil, fmt.Errorf("%w: %d experiments have the title %q: give the name of one: %s", azml.ErrInvalid, len(found), name, strings.Join(found, ", "))
}

// useExperiment finds an experiment for new runs, as findExperiment does, or makes it;
// fresh says that it was made. An archived one becomes active again.
func useExperiment(ctx context.Context, ws *workspace.Workspace, name string) (_ *experiment.Experiment, fresh bool, err error) {
	e, err := findExperiment(ctx, ws, name)
	fresh = missing(err)
	switch {
	case err == nil:
		name = e.Name()
	case !fresh:
		return nil, false, err
	}
	e, err = ws.Experiments().CreateOrUpdate(ctx, name, nil)
	return e, fresh, err
}

// titles are what tables call experiments that have a title, by name.
type titles map[string]string

// of gives what tables call an experiment.
func (t titles) of(name string) string {
	if title := t[name]; title != "" {
		return title
	}
	return name
}

// titlesOf finds the titles of experiments.
func titlesOf(ctx context.Context, ws *workspace.Workspace, experiments ...string) (titles, error) {
	found := titles{}
	return found, found.learn(ctx, ws, experiments...)
}

// experimentsOf gives the experiments of runs.
func experimentsOf(runs []run.Details) []string {
	names := make([]string, len(runs))
	for i, d := range runs {
		names[i] = d.Experiment
	}
	return names
}

// learn finds the titles of those experiments that it doesn't know yet, for which it
// reads the record of each.
func (t titles) learn(ctx context.Context, ws *workspace.Workspace, experiments ...string) error {
	for _, name := range experiments {
		if _, known := t[name]; known || name == "" {
			continue
		}
		e, err := ws.Experiments().Get(ctx, name, nil)
		if err != nil && !missing(err) {
			return err
		}
		t[name] = ""
		if err == nil {
			t[name] = e.Details().Title
		}
	}
	return nil
}

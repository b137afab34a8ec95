package main

import (
	"context"
	"fmt"
	"time"

	"github.com/azml-go/azml/run"
)

// inputView is an input of a run with what has become of its data.
type inputView struct {
	run.Input
	// Data says whether its data is what it was: "unchanged", what has changed, or
	// why that can't be told; empty when only MLflow was told of it.
	Data string `json:"data,omitempty"`
}

// checkTime bounds how long a run's inputs are looked at.
const checkTime = 10 * time.Second

// viewInputs looks at the data of the run's inputs.
func viewInputs(ctx context.Context, r *run.Run) ([]inputView, error) {
	views := []inputView{}
	for _, in := range r.Inputs() {
		views = append(views, inputView{Input: in})
	}
	looking, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	states, err := r.CheckInputs(looking, nil)
	if err != nil && ctx.Err() == nil && looking.Err() != nil {
		for i := range views {
			if views[i].Dataset != "" {
				views[i].Data = fmt.Sprintf("not looked at within %s", checkTime)
			}
		}
		return views, nil
	}
	for i := range views {
		for _, s := range states {
			if views[i].Dataset != "" && s.Name == views[i].Name {
				views[i].Data = dataText(s)
			}
		}
	}
	return views, err
}

func dataText(s run.InputState) string {
	switch {
	case s.Problem != nil:
		return "can't be looked at: " + s.Problem.Error()
	case !s.Known:
		return "not known, it is a query"
	case !s.Changed:
		return "unchanged"
	case s.Changes == nil:
		return "changed since"
	}
	return fmt.Sprintf("changed since: %d added, %d removed, %d changed", s.Changes.Added, s.Changes.Removed, s.Changes.Changed)
}

func (v *runView) drawData(t *table) {
	if len(v.Inputs) > 0 {
		t.heading("Inputs")
		for _, in := range v.Inputs {
			if in.Dataset == "" {
				t.row("  "+in.MLflowName, in.MLflowDigest, in.Context, "told by the script")
				continue
			}
			t.row("  "+in.Name, in.Dataset, string(in.Mode), fmt.Sprintf("%d files, %s", in.Files, size(in.Bytes)), in.Data)
		}
	}
	if len(v.Outputs) > 0 {
		t.heading("Outputs")
		for _, out := range v.Outputs {
			t.row("  "+out.Name, out.Dataset, string(out.Mode), fmt.Sprintf("%d files, %s", out.Files, size(out.Bytes)), out.Target.String())
		}
	}
}

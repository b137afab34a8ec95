package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// runView is what `azml run show` gives: the run's record with what was logged
// and stored.
type runView struct {
	run.Details
	// Metrics sums up the logged metrics by name.
	Metrics map[string]run.Summary `json:"metrics"`
	// Files are the run's files.
	Files []run.File `json:"files"`
	// Inputs are the datasets that it has used.
	Inputs []inputView `json:"inputs"`
	// Outputs are the datasets that it has made.
	Outputs []run.Output `json:"outputs"`
	// Logs are the names of the run's logs.
	Logs []string `json:"logs"`
}

func (a *app) runShow() *cobra.Command {
	return &cobra.Command{
		Use:               "show RUN",
		Short:             "Show a run with its history, parameters, last metrics and files",
		Example:           "  azml run show churn_1764000000_1f2e3d4c -o json",
		Args:              exactly(1, "the ID of a run"),
		ValidArgsFunction: a.completeRuns(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				r, err := ws.Runs().Get(cmd.Context(), args[0], nil)
				if err != nil {
					return err
				}
				view, err := viewRun(cmd.Context(), r)
				if err != nil {
					return err
				}
				called, err := titlesOf(cmd.Context(), ws, view.Experiment)
				if err != nil {
					return err
				}
				return a.show(view, func(t *table) { view.draw(t, called) })
			})
		},
	}
}

func viewRun(ctx context.Context, r *run.Run) (*runView, error) {
	view := &runView{Details: r.Details()}
	sums, err := r.Summaries(ctx)
	if err != nil {
		return nil, err
	}
	view.Metrics = sums
	if view.Files, err = r.Files(ctx, ""); err != nil {
		return nil, err
	}
	view.Files = orEmpty(view.Files)
	if view.Inputs, err = viewInputs(ctx, r); err != nil {
		return nil, err
	}
	view.Outputs = orEmpty(r.Outputs())
	view.Logs, err = r.LogNames(ctx)
	view.Logs = orEmpty(view.Logs)
	return view, err
}

func (v *runView) draw(t *table, called titles) {
	d := v.Details
	t.field("Run", d.RunID)
	t.field("Name", d.DisplayName)
	t.field("Experiment", fmt.Sprintf("%s, run %d", called.of(d.Experiment), d.Number))
	t.field("Status", d.Status)
	t.field("Reason", d.Reason)
	t.field("Waits for", d.WaitsFor)
	t.field("Parent", d.ParentRunID)
	t.field("Description", d.Description)
	if d.Script != "" {
		t.field("Script", shellLine(append([]string{d.Script}, d.Arguments...)))
	}
	t.field("Command", shellLine(d.Command))
	t.field("Compute", d.Target)
	t.field("Environment", d.Environment)
	t.field("Limits", limitsLine(d.Limits))
	t.field("Secrets", strings.Join(d.Secrets, ", "))
	t.field("Snapshot", d.SnapshotID)
	t.field("Created", when(d.Created)+" by "+d.CreatedBy)
	t.field("Duration", took(d.Started, d.Ended))
	v.drawError(t)
	t.heading("History")
	for i, h := range d.History {
		var until time.Time
		if i+1 < len(d.History) {
			until = d.History[i+1].Time
		}
		lasted := took(h.Time, until)
		if h.Status.Terminal() {
			lasted = ""
		}
		t.row("  "+h.Time.Local().Format(time.DateTime), h.Status, lasted, h.Reason)
	}
	t.labels("Tags", d.Tags)
	t.labels("Properties", d.Properties)
	t.labels("Parameters", d.Params)
	if len(v.Metrics) > 0 {
		t.heading("Metrics")
		drawSummaries(t, "  ", v.Metrics)
	}
	v.drawData(t)
	if len(v.Files) > 0 {
		t.heading("Files")
		for _, f := range v.Files {
			t.row("  "+f.Path, size(f.Size))
		}
	}
	if len(v.Logs) > 0 {
		t.heading("Logs")
		for _, name := range v.Logs {
			t.row("  " + name)
		}
	}
}

func (v *runView) drawError(t *table) {
	if e := v.Error; e != nil {
		t.heading("Error")
		t.row("  "+e.Code, e.Message)
		if len(e.LastLines) > 0 {
			t.heading("Last lines of the output")
			for _, line := range e.LastLines {
				t.row("  | " + line)
			}
		}
	}
	if len(v.Warnings) > 0 {
		t.heading("Warnings")
		for _, w := range v.Warnings {
			t.row("  " + w)
		}
	}
}

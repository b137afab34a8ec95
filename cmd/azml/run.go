package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Submit, watch and inspect runs",
		Example: `  azml run submit -e churn --script train.py -- --lr 0.1
  azml run list --status Failed`,
	}
	cmd.AddCommand(a.runSubmit(), a.runList(), a.runShow(), a.runWatch(), a.runLogs(), a.runCancel(), a.runMetrics(), a.runCompare(), a.runExport(), a.runDownload(), a.runTensorBoard(), a.runTag(), a.runDelete())
	return cmd
}

// withRun opens the workspace and finds the run.
func (a *app) withRun(ctx context.Context, id string, fn func(r *run.Run) error) error {
	return a.with(ctx, func(ws *workspace.Workspace) error {
		r, err := ws.Runs().Get(ctx, id, nil)
		if err != nil {
			return err
		}
		return fn(r)
	})
}

func (a *app) runList() *cobra.Command {
	var experiment string
	var statuses []string
	var last int
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List runs, the newest first, or search them",
		Long:  "List runs, the newest first, or search them by a filter.\n\n" + filterHelp("run"),
		Example: `  azml run list -e churn --last 5
  azml run list --status Running --status Queued --tag team=risk -o json
  azml run list --filter "metrics.acc > 0.9 and params.opt = 'adam'" --order-by "metrics.acc desc"`,
		Args: noArgs,
	}
	search := searchFlags(cmd)
	cmd.Flags().StringVarP(&experiment, "experiment", "e", "", "only runs of this experiment, by its name or title")
	cmd.Flags().StringSliceVar(&statuses, "status", nil, "only runs of this status (repeatable)")
	cmd.Flags().IntVar(&last, "last", 20, "how many runs to list")
	cmd.Flags().BoolVar(&all, "all", false, "list all runs")
	tags := filterFlag(cmd, "tag", "only runs with this tag")
	cmd.MarkFlagsMutuallyExclusive("last", "all")
	must(cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(statusNames(), cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("experiment", a.completeExperiments()))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		wanted, err := parseStatuses(statuses)
		if err != nil {
			return err
		}
		if last < 1 {
			return usage("--last %d: give a number of 1 or more, or --all", last)
		}
		if all {
			last = 0
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			opts := &run.SearchOptions{OrderBy: search.orderBy}
			if experiment != "" {
				e, err := findExperiment(cmd.Context(), ws, experiment)
				if err != nil {
					return err
				}
				opts.Experiments = []string{e.Name()}
			}
			list := ws.Runs().Search(cmd.Context(), search.with(anyStatus(wanted), hasTags(tags.values)), opts)
			runs, err := collect(list, last, (*run.Run).Details)
			if err != nil {
				return err
			}
			var called titles
			if a.output == outputTable {
				if called, err = titlesOf(cmd.Context(), ws, experimentsOf(runs)...); err != nil {
					return err
				}
			}
			return showList(a, runs, "No runs.", func(t *table) { drawRuns(t, runs, called) })
		})
	}
	return cmd
}

// anyStatus gives a filter for runs of one of the statuses, empty for none.
func anyStatus(statuses []run.Status) string {
	var values []string
	for _, s := range statuses {
		values = append(values, quoted(string(s), "'"))
	}
	if len(values) == 0 {
		return ""
	}
	return "status IN (" + strings.Join(values, ", ") + ")"
}

func drawRuns(t *table, runs []run.Details, called titles) {
	t.row("RUN", "EXPERIMENT", "NO.", "STATUS", "CREATED", "DURATION", "WHAT", "TAGS")
	for _, d := range runs {
		t.row(d.RunID, shortened(called.of(d.Experiment)), d.Number, d.Status, ago(d.Created), took(d.Started, d.Ended), what(d), tagCell(d.Tags))
	}
}

// what names a run for people: by the name they gave it, else by what it runs.
func what(d run.Details) string {
	text := d.DisplayName
	switch {
	case text != "":
	case d.Script != "":
		text = shellLine(append([]string{d.Script}, d.Arguments...))
	case len(d.Command) > 0:
		text = shellLine(d.Command)
	}
	return shortened(text)
}

func statusNames() []string {
	var names []string
	for _, s := range run.Statuses() {
		names = append(names, string(s))
	}
	return names
}

// parseStatuses reads the names of statuses without regard to letter case.
func parseStatuses(names []string) ([]run.Status, error) {
	var found []run.Status
next:
	for _, name := range names {
		for _, s := range run.Statuses() {
			if strings.EqualFold(name, string(s)) {
				found = append(found, s)
				continue next
			}
		}
		return nil, usage("status %q: use %s", name, strings.Join(statusNames(), ", "))
	}
	return found, nil
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// compareFlags are the flags of `azml run compare`.
type compareFlags struct {
	all                         bool
	metrics, maximize, minimize []string
	format                      string
	plot                        plotFlags
}

func (a *app) runCompare() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use:   "compare RUN RUN...",
		Short: "Put runs side by side",
		Long: `Put runs side by side: parameters and tags that differ, and the last, least and
greatest value of each metric. The least and the greatest of the runs are marked;
with --minimize or --maximize, the best. With --plot the metrics of all runs are
drawn into one chart each. JSON, YAML and CSV have everything, whether it differs
or not.`,
		Example: `  azml run compare churn_1764000000_1f2e3d4c churn_1764000100_5a6b7c8d
  azml run compare RUN1 RUN2 RUN3 --metric '*acc*' --maximize '*'
  azml run compare RUN1 RUN2 --metric loss --plot --log-y`,
		Args:              between(2, -1, "the IDs of two or more runs"),
		ValidArgsFunction: a.completeRuns(-1),
	}
	cmd.Flags().BoolVar(&f.all, "all", false, "show parameters and tags that are the same, too")
	cmd.Flags().StringArrayVar(&f.metrics, "metric", nil, `only metrics of this name, in which "*" stands for any text (repeatable)`)
	cmd.Flags().StringArrayVar(&f.maximize, "maximize", nil, "metrics of this name are best when they are great (repeatable)")
	cmd.Flags().StringArrayVar(&f.minimize, "minimize", nil, "metrics of this name are best when they are small (repeatable)")
	cmd.Flags().StringVar(&f.format, "format", "", "csv prints the comparison as CSV")
	f.plot.add(cmd, "draw a chart of each metric with all runs")
	cmd.MarkFlagsMutuallyExclusive("plot", "format")
	must(cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"csv"}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.plot.check(); err != nil {
			return err
		}
		if f.format != "" && f.format != "csv" {
			return usage("format %q: use csv, or -o json or yaml", f.format)
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error { return a.compare(cmd.Context(), ws, args, &f) })
	}
	return cmd
}

func (a *app) compare(ctx context.Context, ws *workspace.Workspace, ids []string, f *compareFlags) error {
	var runs []*run.Run
	for _, id := range ids {
		r, err := ws.Runs().Get(ctx, id, nil)
		if err != nil {
			return err
		}
		runs = append(runs, r)
	}
	if f.plot.plot {
		return a.plotComparison(ctx, runs, f)
	}
	c, err := run.Compare(ctx, runs, nil)
	if err != nil {
		return err
	}
	wanted := pattern(f.metrics)
	c.Metrics = slices.DeleteFunc(c.Metrics, func(m run.MetricComparison) bool { return !fits(wanted, m.Name) })
	if f.format == "csv" {
		return a.writeComparison(c)
	}
	if a.output != outputTable {
		return a.show(c, nil)
	}
	called, err := titlesOf(ctx, ws, experimentsOf(c.Runs)...)
	if err != nil {
		return err
	}
	return a.drawComparison(c, called, f)
}

// plotComparison draws a chart of each metric with the curves of all runs.
func (a *app) plotComparison(ctx context.Context, runs []*run.Run, f *compareFlags) error {
	wanted := pattern(f.metrics)
	if wanted == nil {
		wanted = func(name string) bool { return !strings.HasPrefix(name, run.SystemPrefix) }
	}
	var names []string
	all := make([]*curves, len(runs))
	for i, r := range runs {
		var err error
		if all[i], err = f.plot.curves(ctx, r, nil, wanted); err != nil {
			return err
		}
		for _, name := range all[i].names {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		a.say("No metrics with numbers to draw.")
	}
	for i, name := range names {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		chart := a.chart(&f.plot)
		for j, r := range runs {
			chart.Add(r.ID(), all[j].series(name))
		}
		if err := a.draw(chart, name); err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/run"
)

// metricsFlags are the flags of `azml run metrics`.
type metricsFlags struct {
	names   []string
	follow  bool
	plot    plotFlags
	overlay bool
	format  string
}

func (a *app) runMetrics() *cobra.Command {
	var f metricsFlags
	cmd := &cobra.Command{
		Use:   "metrics RUN",
		Short: "Sum up, print, follow or draw the metrics of a run",
		Long: `Sum up the metrics of a run. With --format every value is printed: as a table, as
CSV or as JSON, which is an array, or with --follow one object a line. NaN and
infinite numbers are the texts "NaN", "Infinity" and "-Infinity" in JSON.`,
		Example: `  azml run metrics churn_1764000000_1f2e3d4c --name loss --plot
  azml run metrics churn_1764000000_1f2e3d4c --name loss --name val_loss --plot --overlay --log-y
  azml run metrics churn_1764000000_1f2e3d4c --format csv > metrics.csv`,
		Args:              exactly(1, "the ID of a run"),
		ValidArgsFunction: a.completeRuns(1),
	}
	cmd.Flags().StringArrayVar(&f.names, "name", nil, "only this metric (repeatable)")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "print values as they are logged, until the run has ended")
	cmd.Flags().StringVar(&f.format, "format", "", "print every value as table, json or csv")
	f.plot.add(cmd, "draw a line chart of each metric")
	cmd.Flags().BoolVar(&f.overlay, "overlay", false, "with --plot: draw all metrics in one chart")
	cmd.MarkFlagsMutuallyExclusive("plot", "follow")
	cmd.MarkFlagsMutuallyExclusive("plot", "format")
	must(cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"table", "json", "csv"}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.plot.check(); err != nil {
			return err
		}
		if f.overlay && !f.plot.plot {
			return usage("--overlay is about charts: add --plot")
		}
		if f.format == "" && f.follow {
			f.format = a.output
		}
		if !slices.Contains([]string{"", "table", "json", "csv"}, f.format) {
			return usage("format %q: use table, json or csv", f.format)
		}
		return a.withRun(cmd.Context(), args[0], func(r *run.Run) error { return a.showMetrics(cmd.Context(), r, &f) })
	}
	return cmd
}

func (a *app) showMetrics(ctx context.Context, r *run.Run, f *metricsFlags) error {
	switch {
	case f.plot.plot:
		return a.plotMetrics(ctx, r, f)
	case f.format != "":
		return a.printMetrics(ctx, r, f)
	}
	sums, err := r.Summaries(ctx)
	if err != nil {
		return err
	}
	if len(f.names) > 0 {
		maps.DeleteFunc(sums, func(name string, _ run.Summary) bool { return !slices.Contains(f.names, name) })
	}
	if len(sums) == 0 && a.output == outputTable {
		a.say("No metrics.")
		return nil
	}
	return a.show(sums, func(t *table) { drawSummaries(t, "", sums) })
}

func drawSummaries(t *table, indent string, sums map[string]run.Summary) {
	t.row(indent+"METRIC", "KIND", "VALUES", "LAST", "STEP", "MIN", "MAX")
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		s := sums[name]
		least, most := "", ""
		if s.Numbers > 0 {
			least, most = terminal.Number(s.Min), terminal.Number(s.Max)
		}
		t.row(indent+name, s.Kind, s.Count, valueText(s.Last), s.Last.Step, least, most)
	}
}

// valueText gives a logged value for people, in at most a few words.
func valueText(m run.Metric) string {
	switch v := m.Value.(type) {
	case nil:
		return ""
	case float64:
		return terminal.Number(v)
	case string:
		return v
	}
	text := valueJSON(m)
	const longest = 60
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest-1]) + "…"
	}
	return text
}

// valueJSON gives a logged value as JSON.
func valueJSON(m run.Metric) string {
	data, err := json.Marshal(m)
	var v struct{ Value json.RawMessage }
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		return fmt.Sprint(m.Value)
	}
	return string(v.Value)
}

// printMetrics prints every value in the wanted form.
func (a *app) printMetrics(ctx context.Context, r *run.Run, f *metricsFlags) error {
	list := r.Metrics(ctx, &run.MetricsOptions{Names: f.names, Follow: f.follow})
	if f.format == "json" && !f.follow {
		points := []run.Metric{}
		for m, err := range list {
			if err != nil {
				return err
			}
			points = append(points, m)
		}
		return writeJSON(a.stdout, points)
	}
	print, err := a.metricPrinter(f.format)
	if err != nil {
		return err
	}
	for m, err := range list {
		if err != nil {
			return err
		}
		if err := print(m); err != nil {
			return err
		}
	}
	return nil
}

// metricPrinter gives a function that prints one value at once.
func (a *app) metricPrinter(format string) (func(run.Metric) error, error) {
	switch format {
	case "json":
		e := json.NewEncoder(a.stdout)
		return func(m run.Metric) error { return e.Encode(m) }, nil
	case "csv":
		w := csv.NewWriter(a.stdout)
		write := func(cells ...string) error {
			err := w.Write(a.harmless(cells))
			w.Flush()
			return errors.Join(err, w.Error())
		}
		return func(m run.Metric) error {
			return write(m.Name, string(m.Kind), strconv.FormatInt(m.Step, 10), m.Time.Format(time.RFC3339Nano), csvValue(m))
		}, write("name", "kind", "step", "time", "value")
	}
	return func(m run.Metric) error {
		_, err := fmt.Fprintf(a.stdout, "%s  %-20s  %8d  %s\n", m.Time.Local().Format("15:04:05.000"), cell(m.Name), m.Step, cell(valueText(m)))
		return err
	}, nil
}

// csvValue gives a scalar as its text with all digits, anything else as JSON.
func csvValue(m run.Metric) string {
	switch v := m.Value.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return valueJSON(m)
}

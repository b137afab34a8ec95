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
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/run"
)

// summaryView is a run.Summary whose numbers JSON can write: NaN and infinite
// ones are texts.
type summaryView struct {
	// Kind is the kind of the values.
	Kind run.MetricKind `json:"kind"`
	// Count is the number of logged values.
	Count int64 `json:"count"`
	// First is the first logged value.
	First metricView `json:"first"`
	// Last is the last logged value.
	Last metricView `json:"last"`
	// Min is the least number.
	Min any `json:"min,omitempty"`
	// Max is the greatest number.
	Max any `json:"max,omitempty"`
	// NaNs is how many values are NaN.
	NaNs int64 `json:"nans"`
}

// metricView is a run.Metric whose numbers JSON can write.
type metricView struct {
	// Name is the metric's name.
	Name string `json:"name"`
	// Kind is the kind of value.
	Kind run.MetricKind `json:"kind"`
	// Step is the step it was logged with.
	Step int64 `json:"step"`
	// Time is when it was observed.
	Time time.Time `json:"time"`
	// Value is the value; for a table an object of lists, one per column.
	Value any `json:"value"`
}

func viewMetric(m run.Metric) metricView {
	v := metricView{Name: m.Name, Kind: m.Kind, Step: m.Step, Time: m.Time, Value: finite(m.Value)}
	if columns, ok := m.Value.([]run.Column); ok {
		byName := map[string]any{}
		for _, c := range columns {
			byName[c.Name] = finite(c.Values)
		}
		v.Value = byName
	}
	return v
}

func viewSummaries(sums map[string]run.Summary) map[string]summaryView {
	views := map[string]summaryView{}
	for name, s := range sums {
		v := summaryView{Kind: s.Kind, Count: s.Count, First: viewMetric(s.First), Last: viewMetric(s.Last), NaNs: s.NaNs}
		if s.Numbers > 0 {
			v.Min, v.Max = finite(s.Min), finite(s.Max)
		}
		views[name] = v
	}
	return views
}

// metricsFlags are the flags of `azml run metrics`.
type metricsFlags struct {
	names  []string
	follow bool
	plot   bool
	format string
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
  azml run metrics churn_1764000000_1f2e3d4c --format csv > metrics.csv`,
		Args:              exactly(1, "the ID of a run"),
		ValidArgsFunction: a.completeRuns(1),
	}
	cmd.Flags().StringArrayVar(&f.names, "name", nil, "only this metric (repeatable)")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "print values as they are logged, until the run has ended")
	cmd.Flags().StringVar(&f.format, "format", "", "print every value as table, json or csv")
	cmd.Flags().BoolVar(&f.plot, "plot", false, "draw a line chart of each metric")
	cmd.MarkFlagsMutuallyExclusive("plot", "follow")
	cmd.MarkFlagsMutuallyExclusive("plot", "format")
	must(cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"table", "json", "csv"}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
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
	case f.plot:
		return a.plotMetrics(ctx, r, f.names)
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
	views := viewSummaries(sums)
	if len(views) == 0 && a.output == outputTable {
		a.say("No metrics.")
		return nil
	}
	return a.show(views, func(t *table) { drawSummaries(t, "", views) })
}

func drawSummaries(t *table, indent string, sums map[string]summaryView) {
	t.row(indent+"METRIC", "KIND", "VALUES", "LAST", "STEP", "MIN", "MAX")
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		s := sums[name]
		t.row(indent+name, s.Kind, s.Count, valueText(s.Last.Value), s.Last.Step, valueText(s.Min), valueText(s.Max))
	}
}

// valueText gives a logged value for people, in at most a few words.
func valueText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case float64:
		return number(v)
	case string:
		return v
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	const longest = 60
	if runes := []rune(string(text)); len(runes) > longest {
		return string(runes[:longest-1]) + "…"
	}
	return string(text)
}

// printMetrics prints every value in the wanted form.
func (a *app) printMetrics(ctx context.Context, r *run.Run, f *metricsFlags) error {
	list := r.Metrics(ctx, &run.MetricsOptions{Names: f.names, Follow: f.follow})
	if f.format == "json" && !f.follow {
		points := []metricView{}
		for m, err := range list {
			if err != nil {
				return err
			}
			points = append(points, viewMetric(m))
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
		if err := print(viewMetric(m)); err != nil {
			return err
		}
	}
	return nil
}

// metricPrinter gives a function that prints one value at once.
func (a *app) metricPrinter(format string) (func(metricView) error, error) {
	switch format {
	case "json":
		e := json.NewEncoder(a.stdout)
		return func(m metricView) error { return e.Encode(m) }, nil
	case "csv":
		w := csv.NewWriter(a.stdout)
		write := func(cells ...string) error {
			err := w.Write(cells)
			w.Flush()
			return errors.Join(err, w.Error())
		}
		return func(m metricView) error {
			return write(m.Name, string(m.Kind), strconv.FormatInt(m.Step, 10), m.Time.Format(time.RFC3339Nano), csvValue(m.Value))
		}, write("name", "kind", "step", "time", "value")
	}
	return func(m metricView) error {
		_, err := fmt.Fprintf(a.stdout, "%s  %-20s  %8d  %s\n", m.Time.Local().Format("15:04:05.000"), cell(m.Name), m.Step, cell(valueText(m.Value)))
		return err
	}, nil
}

// csvValue gives a scalar as its text with all digits, anything else as JSON.
func csvValue(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return strings.TrimSpace(string(text))
}

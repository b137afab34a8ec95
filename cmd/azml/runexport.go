package main

import (
	"context"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/internal/atomicfile"
	"github.com/azml-go/azml/run"
)

func (a *app) runExport() *cobra.Command {
	var format, file string
	var names []string
	cmd := &cobra.Command{
		Use:   "export RUN",
		Short: "Write the metrics of a run as Parquet, CSV or JSON Lines",
		Long: `Write every logged value of a run as Parquet, which pandas, Polars and DuckDB
open, as CSV or as JSON Lines, to a file or to the standard output. NaN and
infinite numbers are "NaN", "Infinity" and "-Infinity" in CSV and JSON Lines. The
file appears when it is complete.`,
		Example: `  azml run export churn_1764000000_1f2e3d4c -f metrics.parquet
  azml run export churn_1764000000_1f2e3d4c --format csv --name loss > loss.csv`,
		Args:              exactly(1, "the ID of a run"),
		ValidArgsFunction: a.completeRuns(1),
	}
	cmd.Flags().StringVar(&format, "format", string(run.FormatParquet), "parquet, csv or jsonl")
	cmd.Flags().StringVarP(&file, "file", "f", "", "file to write (default: standard output)")
	cmd.Flags().StringArrayVar(&names, "name", nil, "only this metric (repeatable)")
	must(cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"parquet", "csv", "jsonl"}, cobra.ShellCompDirectiveNoFileComp)))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(run.Formats(), run.Format(format)) {
			return usage("format %q: use parquet, csv or jsonl", format)
		}
		opts := &run.ExportOptions{Format: run.Format(format), Names: names}
		return a.withRun(cmd.Context(), args[0], func(r *run.Run) error { return a.exportRun(cmd.Context(), r, file, opts) })
	}
	return cmd
}

func (a *app) exportRun(ctx context.Context, r *run.Run, path string, opts *run.ExportOptions) error {
	if path == "" {
		return r.ExportMetrics(ctx, a.stdout, opts)
	}
	return atomicfile.Create(path, 0o644, func(f *os.File) error { return r.ExportMetrics(ctx, f, opts) })
}

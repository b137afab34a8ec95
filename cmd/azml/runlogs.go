package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/run"
)

func (a *app) runLogs() *cobra.Command {
	var name string
	var follow, list bool
	var tail int
	cmd := &cobra.Command{
		Use:   "logs RUN",
		Short: "Print what a run's script wrote, or another of its logs",
		Example: `  azml run logs churn_1764000000_1f2e3d4c --follow
  azml run logs churn_1764000000_1f2e3d4c --follow --tail 20
  azml run logs churn_1764000000_1f2e3d4c --name system_logs/prepare.txt`,
		Args:              exactly(1, "the ID of a run"),
		ValidArgsFunction: a.completeRuns(1),
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the log (default: the script's output)")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the run has ended")
	cmd.Flags().IntVarP(&tail, "tail", "n", 0, "begin with the last so many lines (default: all)")
	cmd.Flags().BoolVar(&list, "list", false, "list the names of the logs")
	cmd.MarkFlagsMutuallyExclusive("list", "name")
	cmd.MarkFlagsMutuallyExclusive("list", "follow")
	cmd.MarkFlagsMutuallyExclusive("list", "tail")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if tail < 0 || tail == 0 && cmd.Flags().Changed("tail") {
			return usage("--tail %d: give a number of lines from 1", tail)
		}
		return a.withRun(ctx, args[0], func(r *run.Run) error {
			if list {
				return a.listLogs(ctx, r)
			}
			log, err := r.Logs(ctx, &run.LogsOptions{Name: name, Follow: follow, Tail: tail})
			if name == "" && missing(err) {
				a.say("The run has written no output.")
				return nil
			}
			if err != nil {
				return err
			}
			return a.copyText(log)
		})
	}
	return cmd
}

func (a *app) listLogs(ctx context.Context, r *run.Run) error {
	names, err := r.LogNames(ctx)
	if err != nil {
		return err
	}
	return showList(a, names, "The run has no logs.", func(t *table) {
		for _, n := range names {
			t.row(n)
		}
	})
}

// copyText copies a log to the standard output and closes it.
func (a *app) copyText(log io.ReadCloser) error {
	_, err := io.Copy(a.stdout, log)
	return errors.Join(err, log.Close())
}

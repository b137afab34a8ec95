package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/tensorboard"
	"github.com/azml-go/azml/workspace"
)

func (a *app) runTensorBoard() *cobra.Command {
	var logdir string
	var opts tensorboard.ExportOptions
	cmd := &cobra.Command{
		Use:   "tensorboard RUN...",
		Short: "Write TensorBoard event files of runs, also while they go on",
		Long: `Write TensorBoard event files of runs, each into a folder of its own below --logdir.
Called again for the same folder it writes what is new.`,
		Example: `  azml run tensorboard churn_1764000000_1f2e3d4c --logdir tb --follow
  tensorboard --logdir tb`,
		Args:              between(1, -1, "the IDs of runs"),
		ValidArgsFunction: a.completeRuns(-1),
	}
	cmd.Flags().StringVar(&logdir, "logdir", "", "folder for the event files, made at need (required)")
	cmd.Flags().BoolVarP(&opts.Follow, "follow", "f", false, "go on with what is logged until all runs have ended")
	cmd.Flags().IntVar(&opts.Every, "every", 1, "keep only the first of every so many values of a scalar")
	cmd.RunE = func(cmd *cobra.Command, ids []string) error {
		switch {
		case logdir == "":
			return usage("name a folder for the event files: --logdir DIR")
		case opts.Every < 1:
			return usage("--every %d: give a number of 1 or more", opts.Every)
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			return a.exportTensorBoard(cmd.Context(), ws, ids, logdir, opts)
		})
	}
	return cmd
}

func (a *app) exportTensorBoard(ctx context.Context, ws *workspace.Workspace, ids []string, logdir string, opts tensorboard.ExportOptions) error {
	var runs []*run.Run
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			continue
		}
		r, err := ws.Runs().Get(ctx, id, nil)
		if err != nil {
			return err
		}
		runs = append(runs, r)
	}
	hint := "See them with: " + shellLine([]string{"tensorboard", "--logdir", logdir})
	if opts.Follow {
		a.say("Following %s. %s", count(len(runs), "run"), hint)
	}
	p, written := a.progress(), map[string]int64{}
	opts.Progress = func(e tensorboard.Exported) {
		written[e.RunID] = e.Values
		p.set("%d values written", total(written))
	}
	done, err := tensorboard.Export(ctx, runs, logdir, &opts)
	p.clear()
	if err != nil {
		return err
	}
	err = a.show(done, func(t *table) {
		t.row("RUN", "VALUES", "FOLDER")
		for _, e := range done {
			t.row(e.RunID, e.Values, e.Dir)
		}
	})
	for _, e := range done {
		a.sayLeftOut(e.RunID, e.LeftOut)
	}
	if !opts.Follow {
		a.say("%s", hint)
	}
	return err
}

func (a *app) importCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "import",
		Short:   "Make runs of what other tools have logged",
		Example: "  azml import mlflow http://localhost:5000\n  azml import tensorboard runs -e churn",
	}
	cmd.AddCommand(a.importMLflow(), a.importTensorBoard())
	return cmd
}

func (a *app) importTensorBoard() *cobra.Command {
	var experiment string
	cmd := &cobra.Command{
		Use:   "tensorboard LOGDIR",
		Short: "Make runs of TensorBoard's event files",
		Long: `Make a run of each folder below LOGDIR that has event files of TensorFlow, PyTorch
or others. Called again, it passes over folders that have not changed, and makes
the runs of those that have grown anew, under their IDs.`,
		Example: "  azml import tensorboard runs -e churn",
		Args:    exactly(1, "the folder with the event files"),
	}
	cmd.Flags().StringVarP(&experiment, "experiment", "e", "", "experiment of the runs, made at need (required)")
	must(cmd.RegisterFlagCompletionFunc("experiment", a.completeExperiments()))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if experiment == "" {
			return usage("name the experiment of the runs: -e NAME")
		}
		if _, err := os.Stat(args[0]); err != nil {
			return err
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			exp, _, err := useExperiment(cmd.Context(), ws, experiment)
			if err != nil {
				return err
			}
			p, logged := a.progress(), map[string]int64{}
			done, err := tensorboard.Import(cmd.Context(), exp, args[0], &tensorboard.ImportOptions{Progress: func(i tensorboard.Imported) {
				logged[i.RunID] = i.Values
				p.set("%s, %d values", count(len(logged), "folder"), total(logged))
			}})
			p.clear()
			return errors.Join(err, a.showImported(done))
		})
	}
	return cmd
}

func (a *app) showImported(done []tensorboard.Imported) error {
	err := a.show(orEmpty(done), func(t *table) {
		t.row("FOLDER", "RUN", "OUTCOME", "VALUES")
		for _, i := range done {
			t.row(i.Folder, i.RunID, i.Outcome, i.Values)
		}
	})
	for _, i := range done {
		if i.Reason != "" {
			a.say("%s: the run was kept as it is: %s", i.Folder, i.Reason)
		}
		a.sayLeftOut(i.Folder, i.LeftOut)
		for _, d := range i.Damaged {
			a.say("%s: %s", d.File, d.Reason)
		}
	}
	return err
}

// sayLeftOut tells what was not carried over.
func (a *app) sayLeftOut(what string, counts map[string]int64) {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d × %s", counts[reason], reason))
	}
	if len(parts) > 0 {
		a.say("%s: left out: %s", what, strings.Join(parts, ", "))
	}
}

func total(counts map[string]int64) (sum int64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

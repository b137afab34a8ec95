package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/internal/watch"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// watchFlags are the flags of `azml run watch`.
type watchFlags struct {
	experiment string
	interval   time.Duration
	metrics    []string
	options    watch.Options
}

func (a *app) runWatch() *cobra.Command {
	var f watchFlags
	cmd := &cobra.Command{
		Use:   "watch [RUN]",
		Short: "Look at a run while it goes on",
		Long: `Look at a run until it has ended: its status, how far it is, its metrics, how busy
the machine is, and the last lines of its output. Without RUN it is the newest run
that is going on. "q" or Ctrl-C leaves; the run goes on. Where the standard output
is no terminal, or with -v, each change is a line; with -o json it is a JSON object
with its kind in "event": status, progress, metric, output, child, end.

How long a run will still take is told from the steps that its metrics are logged
with and the number that there will be: --steps; else a parameter, a tag or an
argument of the script such as max_steps, num_steps or n_estimators; else one such
as epochs or num_train_epochs, for which the metric "epoch" counts when there is
one. A script can also log a metric "progress" from 0 to 1.

The exit code is 0 for Completed, 1 for Failed and 130 for Canceled and for a run
that still goes on.`,
		Example: `  azml run watch
  azml run watch churn_1764000000_1f2e3d4c --metric 'train/*' --metric '*loss*'
  azml run watch churn_1764000000_1f2e3d4c --steps 10000 -o json`,
		Args:              between(0, 1, "the ID of a run"),
		ValidArgsFunction: a.completeRuns(1),
	}
	cmd.Flags().StringVarP(&f.experiment, "experiment", "e", "", "without RUN: the newest run of this experiment, by its name or title")
	cmd.Flags().StringArrayVar(&f.metrics, "metric", nil, `only metrics of this name, in which "*" stands for any text (repeatable)`)
	cmd.Flags().Int64Var(&f.options.Steps, "steps", 0, "how many steps the run will take")
	cmd.Flags().IntVar(&f.options.Lines, "lines", 10, "how many lines of the output to show, 0 for none")
	cmd.Flags().BoolVar(&f.options.Children, "children", false, "show child runs, too")
	cmd.Flags().DurationVar(&f.interval, "interval", 5*time.Second, "time between two reports where there is no terminal")
	must(cmd.RegisterFlagCompletionFunc("experiment", a.completeExperiments()))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.check(a, args); err != nil {
			return err
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			r, err := f.find(cmd.Context(), ws, args)
			if err != nil {
				return err
			}
			return a.watch(cmd.Context(), r, &f)
		})
	}
	return cmd
}

func (f *watchFlags) check(a *app, args []string) error {
	const mostLines = 1000
	switch {
	case a.output == outputYAML:
		return usage("-o yaml: a run is watched as table or json")
	case f.options.Steps < 0:
		return usage("--steps %d: give the number of steps that the run will take", f.options.Steps)
	case f.options.Lines < 0 || f.options.Lines > mostLines:
		return usage("--lines %d: give a number from 0 to %d", f.options.Lines, mostLines)
	case f.interval <= 0:
		return usage("--interval %v: give a time such as 5s", f.interval)
	case f.experiment != "" && len(args) > 0:
		return usage("give either a run or an experiment")
	}
	return nil
}

// find finds the run that is meant.
func (f *watchFlags) find(ctx context.Context, ws *workspace.Workspace, args []string) (*run.Run, error) {
	if len(args) > 0 {
		return ws.Runs().Get(ctx, args[0], nil)
	}
	opts := &run.ListOptions{}
	if f.experiment != "" {
		e, err := findExperiment(ctx, ws, f.experiment)
		if err != nil {
			return nil, err
		}
		opts.Experiment = e.Name()
	}
	for r, err := range ws.Runs().List(ctx, opts) {
		if err != nil {
			return nil, err
		}
		if status := r.Status(); !status.Terminal() && status != run.StatusNotStarted {
			return r, nil
		}
	}
	return nil, fmt.Errorf(`%w: no run is going on: start one with "azml run submit", or name one that has ended`, azml.ErrNotFound)
}

// watch shows the run until it has ended or the user has seen enough.
func (a *app) watch(ctx context.Context, r *run.Run, f *watchFlags) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f.options.Pick = pattern(f.metrics)
	w := watch.Start(ctx, r, f.options)
	var err error
	out, isFile := a.stdout.(*os.File)
	switch {
	case a.output == outputJSON:
		err = a.watchReports(ctx, w, f, &jsonReport{app: a})
	case isFile && terminal.IsTerminal(out) && os.Getenv("TERM") != "dumb" && !a.verbose:
		err = a.watchScreen(ctx, w, out)
	default:
		err = a.watchReports(ctx, w, f, &textReport{app: a, style: a.style()})
	}
	left := true // before the end
	select {
	case <-w.Ended():
		left = ctx.Err() != nil
	default:
	}
	cancel()
	<-w.Ended()
	switch {
	case err != nil:
		return err
	case left:
		return a.leave(r)
	case w.Err() != nil:
		return w.Err()
	}
	return a.tell(r.Details())
}

// leave says that the run goes on.
func (a *app) leave(r *run.Run) error {
	a.say("The run goes on. Look again: azml run watch %s", r.ID())
	return exitCode(exitCanceled)
}

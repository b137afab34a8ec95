package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func (a *app) runCancel() *cobra.Command {
	var reason string
	var wait bool
	cmd := &cobra.Command{
		Use:   "cancel RUN",
		Short: "Ask a run to end",
		Long: `Ask a run to end. A script gets SIGTERM and some time to finish, and is then
ended by force. The command returns when the wish is noted, with --wait when the
run has ended.`,
		Example:           `  azml run cancel churn_1764000000_1f2e3d4c --wait --reason "wrong data"`,
		Args:              exactly(1, "the ID of a run"),
		ValidArgsFunction: a.completeRuns(1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, kept with the run")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the run has ended")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		return a.withRun(ctx, args[0], func(r *run.Run) error {
			if err := r.Cancel(ctx, &run.CancelOptions{Reason: reason}); err != nil {
				return err
			}
			if wait {
				if err := awaitEnd(ctx, r); err != nil {
					return err
				}
			}
			return a.showStatus(r)
		})
	}
	return cmd
}

// awaitEnd waits until the run has ended, in whatever way.
func awaitEnd(ctx context.Context, r *run.Run) error {
	err := r.Wait(ctx, nil)
	if errors.Is(err, azml.ErrFailed) || errors.Is(err, azml.ErrCanceled) {
		return nil
	}
	return err
}

// showStatus shows a run that was changed: in a line for people, else whole.
func (a *app) showStatus(r *run.Run) error {
	d := r.Details()
	return a.show(d, func(t *table) { t.line(d.RunID + " is " + string(d.Status)) })
}

func (a *app) runTag() *cobra.Command {
	var remove []string
	cmd := &cobra.Command{
		Use:   "tag RUN [KEY=VALUE]...",
		Short: "Set or remove tags of a run",
		Example: `  azml run tag churn_1764000000_1f2e3d4c stage=candidate reviewed
  azml run tag churn_1764000000_1f2e3d4c --remove stage`,
		Args:              between(1, -1, "the ID of a run and tags"),
		ValidArgsFunction: a.completeRuns(1),
	}
	cmd.Flags().StringSliceVar(&remove, "remove", nil, "tag to remove (repeatable)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		tags := &pairs{bare: func(string) (string, error) { return "", nil }}
		for _, arg := range args[1:] {
			if err := tags.Set(arg); err != nil {
				return usage("tag %q: %w", arg, err)
			}
		}
		if len(tags.values)+len(remove) == 0 {
			return usage("missing argument: give tags as KEY=VALUE, or --remove KEY")
		}
		return a.withRun(cmd.Context(), args[0], func(r *run.Run) error {
			if err := r.Update(cmd.Context(), run.Update{SetTags: tags.values, RemoveTags: remove}); err != nil {
				return err
			}
			d := r.Details()
			return a.show(d, func(t *table) { t.line(d.RunID + " has the tags " + labels(d.Tags)) })
		})
	}
	return cmd
}

func (a *app) runDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete RUN...",
		Short: "Delete ended runs with their metrics and logs",
		Long: `Delete ended runs with their metrics and logs. There is no way back. Files that
nothing else uses go with a later "azml workspace gc"; registered models stay.`,
		Example:           "  azml run delete churn_1764000000_1f2e3d4c",
		Args:              between(1, -1, "the ID of a run"),
		ValidArgsFunction: a.completeRuns(-1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				for _, id := range args {
					if err := ws.Runs().Delete(cmd.Context(), id, nil); err != nil {
						return err
					}
					a.say("Deleted run %s.", id)
				}
				return nil
			})
		},
	}
}

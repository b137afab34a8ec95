package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func (a *app) experimentCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "experiment",
		Short:   "List, show, archive and delete experiments",
		Example: "  azml experiment list",
	}
	cmd.AddCommand(a.experimentList(), a.experimentShow(),
		a.experimentChange("archive", "Hide an experiment from lists and take no new runs for it", (*experiment.Experiment).Archive),
		a.experimentChange("reactivate", "Take an experiment out of the archive", (*experiment.Experiment).Reactivate),
		a.experimentDelete())
	return cmd
}

func (a *app) experimentList() *cobra.Command {
	var archived, all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List experiments by name, or search them",
		Long:  "List experiments by name, or search them by a filter.\n\n" + filterHelp("experiment"),
		Example: `  azml experiment list --all
  azml experiment list --filter "name like 'churn%'" --order-by "creation_time desc"`,
		Args: noArgs,
	}
	search := searchFlags(cmd)
	cmd.Flags().BoolVar(&archived, "archived", false, "list only archived experiments")
	cmd.Flags().BoolVar(&all, "all", false, "list archived experiments, too")
	cmd.MarkFlagsMutuallyExclusive("archived", "all")
	tags := filterFlag(cmd, "tag", "only experiments with this tag")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		view := experiment.ActiveOnly
		switch {
		case archived:
			view = experiment.ArchivedOnly
		case all:
			view = experiment.All
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			opts := &experiment.SearchOptions{View: view, OrderBy: search.orderBy}
			list := ws.Experiments().Search(cmd.Context(), search.with(hasTags(tags.values)), opts)
			found, err := collect(list, 0, (*experiment.Experiment).Details)
			if err != nil {
				return err
			}
			return showList(a, found, "No experiments.", func(t *table) {
				t.row("EXPERIMENT", "TITLE", "CREATED", "ARCHIVED", "TAGS", "DESCRIPTION")
				for _, d := range found {
					t.row(d.Name, shortened(d.Title), ago(d.Created), ago(d.Archived), tagCell(d.Tags), d.Description)
				}
			})
		})
	}
	return cmd
}

// withExperiment opens the workspace and finds the experiment.
func (a *app) withExperiment(ctx context.Context, name string, fn func(e *experiment.Experiment) error) error {
	return a.with(ctx, func(ws *workspace.Workspace) error {
		e, err := findExperiment(ctx, ws, name)
		if err != nil {
			return err
		}
		return fn(e)
	})
}

// experimentView is an experiment with its last runs.
type experimentView struct {
	experiment.Details
	// LastRuns are its newest runs, at most ten.
	LastRuns []run.Details `json:"lastRuns"`
}

func (a *app) experimentShow() *cobra.Command {
	return &cobra.Command{
		Use:               "show EXPERIMENT",
		Short:             "Show an experiment and its last runs",
		Example:           "  azml experiment show churn",
		Args:              exactly(1, "the name or title of an experiment"),
		ValidArgsFunction: a.completeExperiments(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withExperiment(cmd.Context(), args[0], func(e *experiment.Experiment) error {
				const last = 10
				runs, err := collect(e.Runs(cmd.Context(), nil), last, (*run.Run).Details)
				if err != nil {
					return err
				}
				return a.show(experimentView{e.Details(), runs}, func(t *table) {
					drawExperiment(t, e.Details())
					if len(runs) > 0 {
						t.heading("Last runs")
						drawRuns(t, runs, titles{e.Name(): e.Details().Title})
					}
				})
			})
		},
	}
}

func drawExperiment(t *table, d experiment.Details) {
	t.field("Experiment", d.Name)
	t.field("Title", d.Title)
	t.field("ID", d.ID)
	t.field("Description", d.Description)
	t.field("Created", when(d.Created)+" by "+d.CreatedBy)
	t.field("Archived", when(d.Archived))
	t.labels("Tags", d.Tags)
}

// experimentChange makes the commands that change an experiment's state.
func (a *app) experimentChange(verb, short string, change func(*experiment.Experiment, context.Context) (*experiment.Experiment, error)) *cobra.Command {
	return &cobra.Command{
		Use:               verb + " EXPERIMENT",
		Short:             short,
		Example:           "  azml experiment " + verb + " churn",
		Args:              exactly(1, "the name or title of an experiment"),
		ValidArgsFunction: a.completeExperiments(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withExperiment(cmd.Context(), args[0], func(e *experiment.Experiment) error {
				e, err := change(e, cmd.Context())
				if err != nil {
					return err
				}
				return a.show(e.Details(), func(t *table) { drawExperiment(t, e.Details()) })
			})
		},
	}
}

func (a *app) experimentDelete() *cobra.Command {
	return &cobra.Command{
		Use:               "delete EXPERIMENT",
		Short:             "Delete an experiment that has no runs",
		Example:           "  azml experiment delete churn",
		Args:              exactly(1, "the name or title of an experiment"),
		ValidArgsFunction: a.completeExperiments(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				e, err := findExperiment(cmd.Context(), ws, args[0])
				if err != nil {
					return err
				}
				if err := ws.Experiments().Delete(cmd.Context(), e.Name(), nil); err != nil {
					return err
				}
				a.say("Deleted experiment %s.", args[0])
				return nil
			})
		},
	}
}

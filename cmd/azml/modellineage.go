package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/workspace"
)

func (a *app) modelLineage() *cobra.Command {
	return &cobra.Command{
		Use:   "lineage NAME[:VERSION]|NAME@ALIAS",
		Short: "Follow a model back to its data and source, and on to what serves it",
		Long: `Follow a model back to the run that made it, its source, environment and data, and
on to the endpoints that serve it.`,
		Example: `  azml model lineage churn:7
  azml model lineage churn@champion -o json`,
		Args:              exactly(1, "a model as NAME, NAME:VERSION or NAME@ALIAS"),
		ValidArgsFunction: a.completeModels(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				l, err := ws.ModelLineage(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				called := titles{}
				if l.Run != nil {
					if err := called.learn(cmd.Context(), ws, l.Run.Experiment); err != nil {
						return err
					}
				}
				return a.show(l, func(t *table) { drawLineage(t, l, called) })
			})
		},
	}
}

// drawLineage draws what came before the model above it, and what came of it below.
func drawLineage(t *table, l *workspace.Lineage, called titles) {
	for _, d := range l.Datasets {
		t.row("dataset", d.Dataset, d.Relation)
	}
	if l.Snapshot != "" {
		t.row("source", l.Snapshot, gitLine(l.Git))
	}
	if l.Environment != "" {
		t.row("environment", l.Environment)
	}
	if r := l.Run; r != nil {
		state := r.Status
		if state == "" {
			state = "deleted"
		}
		t.row("run", r.ID, "of "+called.of(r.Experiment)+", "+state)
		if r.Parent != "" {
			t.row("", r.Parent, "its parent")
		}
	} else {
		t.row("files", l.Model.Path, "registered from a machine")
	}
	words := []string{"registered " + ago(l.Model.Created) + " by " + l.Model.CreatedBy}
	if len(l.Aliases) > 0 {
		words = append(words, "alias "+strings.Join(l.Aliases, ", "))
	}
	t.row("model", l.Model.ID, strings.Join(words, "; "))
	for _, e := range l.Endpoints {
		t.row("endpoint", e.Name, e.State+" since "+when(e.Since))
	}
}

// gitLine says in a line where the source was in its repository.
func gitLine(git map[string]string) string {
	var words []string
	for _, key := range []string{"repository_uri", "branch", "commit"} {
		if git[key] != "" {
			words = append(words, git[key])
		}
	}
	if git["dirty"] != "" && git["dirty"] != "False" {
		words = append(words, "with changes that were not committed")
	}
	return strings.Join(words, " ")
}

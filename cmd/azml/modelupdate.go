package main

import (
	"github.com/spf13/cobra"

	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/workspace"
)

func (a *app) modelUpdate() *cobra.Command {
	var description, stage string
	var change model.Update
	cmd := &cobra.Command{
		Use:   "update NAME:VERSION",
		Short: "Change tags, properties, description or stage of a version",
		Example: `  azml model update churn:7 --tag approved-by=maria --remove-tag candidate
  azml model update churn:7 --stage Production`,
		Args:              exactly(1, "a model as NAME:VERSION or NAME@ALIAS"),
		ValidArgsFunction: a.completeModels(),
	}
	f := cmd.Flags()
	f.StringVar(&description, "description", "", "description of the version")
	f.StringVar(&stage, "stage", "", "stage: Staging, Production, Archived or None")
	f.StringSliceVar(&change.RemoveTags, "remove-tag", nil, "tag to remove (repeatable)")
	tags, properties := tagsFlag(cmd, "tag", "tag to set"), tagsFlag(cmd, "property", "property to add, which never changes")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		change.Description, change.Stage = changed(cmd, "description", &description), model.Stage(stage)
		change.SetTags, change.AddProperties = tags.values, properties.values
		if change.Description == nil && stage == "" && len(change.SetTags)+len(change.RemoveTags)+len(change.AddProperties) == 0 {
			return usage("say what to change: --tag, --remove-tag, --property, --description or --stage")
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			m, err := ws.Models().GetByID(cmd.Context(), args[0], nil)
			if err != nil {
				return err
			}
			if m, err = m.Update(cmd.Context(), change); err != nil {
				return err
			}
			return a.show(m.Details(), func(t *table) { t.line("Updated model " + m.ID() + ".") })
		})
	}
	return cmd
}

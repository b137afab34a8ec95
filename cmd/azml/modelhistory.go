package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/workspace"
)

func (a *app) modelHistory() *cobra.Command {
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "history NAME[:VERSION]",
		Short: "Tell who did what to a model: aliases moved, tags, stages, versions",
		Long: `Tell who did what to a model and when: versions registered and deleted, aliases
moved from one to another, tags and stages. It is read from the audit log.`,
		Example: `  azml model history churn
  azml model history churn:7 --since 168h`,
		Args:              exactly(1, "a model as NAME or NAME:VERSION"),
		ValidArgsFunction: a.completeModels(),
	}
	cmd.Flags().DurationVar(&since, "since", 0, "only what was done this long ago or later, such as 24h")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, version, err := model.ParseID(args[0])
		if err != nil {
			return err
		}
		opts := model.HistoryOptions{Version: version}
		if since > 0 {
			opts.Since = time.Now().Add(-since)
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			changes, err := collect(ws.Models().History(cmd.Context(), name, &opts), 0, func(c model.Change) model.Change { return c })
			if err != nil {
				return err
			}
			return showList(a, changes, "Nothing was done to it.", func(t *table) {
				t.row("WHEN", "WHO", "MODEL", "WHAT", "DETAIL")
				for _, c := range changes {
					t.row(when(c.Time), c.Who, c.Model, c.Op, c.Detail)
				}
			})
		})
	}
	return cmd
}

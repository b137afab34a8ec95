package main

import (
	"github.com/spf13/cobra"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/workspace"
)

func (a *app) datasetConsumers() *cobra.Command {
	return &cobra.Command{
		Use:               "consumers DATASET",
		Short:             "List the runs that have used a version of a dataset or made it",
		Example:           "  azml dataset consumers titanic:1",
		Args:              exactly(1, datasetWord),
		ValidArgsFunction: a.completeDatasets(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				d, err := ws.Datasets().GetByID(cmd.Context(), args[0], nil)
				if err != nil {
					return err
				}
				found, called := []dataset.Consumer{}, titles{}
				for one, err := range d.Consumers(cmd.Context(), nil) {
					if err != nil {
						return err
					}
					found = append(found, one)
					if err := called.learn(cmd.Context(), ws, one.Experiment); err != nil {
						return err
					}
				}
				return a.show(found, func(t *table) {
					t.row("RUN", "EXPERIMENT", "STATUS", "ROLE", "NAME", "MODE", "CREATED")
					for _, c := range found {
						t.row(c.RunID, shortened(called.of(c.Experiment)), c.Status, string(c.Role), c.Name, string(c.Mode), when(c.Created))
					}
				})
			})
		},
	}
}

package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/internal/instance"
)

func (a *app) instanceCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "instance",
		Hidden: true,
		Short:  "Be the first program of a compute instance, as azml starts it there",
		Long: `Start Jupyter and what serves MLflow's clients on a compute instance, until nobody has
used it for its time. This program is started by azml itself, in a container. What to
do is read from the standard input.`,
		Example: "  azml instance < setup.json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			return instance.Serve(cmd.Context(), program, a.stdin, a.stderr)
		},
	}
}

package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

func (a *app) jobsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "jobs",
		Hidden: true,
		Short:  "Run jobs for an azml on another machine, as a program that azml starts does",
		Long: `Run jobs for an azml on another machine, which has put this program here and speaks
to it over the standard input and output. The jobs and what they wrote are kept in
the folder that it names.`,
		Example:            "  azml jobs serve /srv/azml",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := jobs.Run(cmd.Context(), args, os.Stdin, os.Stdout, docker.Kind{})
			if ended, ok := errors.AsType[jobs.Ended](err); ok {
				return exitCode(ended.Code)
			}
			return err
		},
	}
}

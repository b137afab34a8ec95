package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/azure"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/drive"
	"github.com/azml-go/azml/internal/keeper"
	"github.com/azml-go/azml/workspace"
)

func (a *app) agentCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "agent",
		Hidden: true,
		Short:  "Drive one run, as a program that azml starts does",
		Long: `Drive one run, on the machine where its script is to run. This program is started
by azml itself, on this machine for runs that go on in the background, and on
compute targets. What to do is read from the standard input. It says on the
standard error what goes wrong; the exit code is 0 when the run has come to an
end, whichever.`,
		Example: "  azml agent < instructions.json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return drive.Runs(cmd.Context(), a.stdin, a.withInstructed)
		},
	}
}

func (a *app) keeperCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "keeper",
		Hidden: true,
		Short:  "Lend the workspace to a run on another machine, as a program that azml starts does",
		Long: `Start the agent of a run on its compute target, lend it what it needs of the
workspace until it has ended, and end the run when its agent is gone. This program
is started by azml itself, for runs that were submitted with --detach. What to do
is read from the standard input.`,
		Example: "  azml keeper < instructions.json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			i, err := agent.ReadInstructions(a.stdin)
			if err != nil {
				return err
			}
			return a.withInstructed(cmd.Context(), i, func(h core.Handle) error { return keeper.Start(cmd.Context(), h, i) })
		},
	}
}

// withInstructed opens the workspace that the instructions name for the time of fn.
func (a *app) withInstructed(ctx context.Context, i agent.Instructions, fn func(h core.Handle) error) (err error) {
	log := drive.Logger(a.stderr)
	if i.Gateway != "" {
		return drive.ThroughGateway(log)(ctx, i, fn)
	}
	ws, err := a.openInstructed(ctx, i, log)
	if err != nil {
		return err
	}
	defer closeAfter(ctx, ws, &err)
	return fn(workspace.Handle(ws))
}

// openInstructed opens a workspace that this machine reaches by itself.
func (a *app) openInstructed(ctx context.Context, i agent.Instructions, log *slog.Logger) (*workspace.Workspace, error) {
	if azure.IsURL(i.Location) {
		return azure.Open(ctx, i.Location, &azure.Options{Datastores: datastoreDrivers(), Computes: computeDrivers(), CacheDir: i.CacheDir, Logger: log})
	}
	ws, err := workspace.Open(ctx, i.Location, &workspace.OpenOptions{MustExist: true, Datastores: datastoreDrivers(), Computes: computeDrivers(),
		CacheDir: i.CacheDir, SecretsKeyFile: i.SecretsKeyFile, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("open the workspace of the run %s: %w", i.RunID, err)
	}
	return ws, nil
}

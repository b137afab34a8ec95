package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/azure"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/gateway"
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
			i, err := agent.ReadInstructions(a.stdin)
			if err != nil {
				return err
			}
			return a.driveRuns(cmd.Context(), i)
		},
	}
}

// driveRuns drives a run, and then others as long as who has started this program has
// one for it, and the place is as clean as another would be.
func (a *app) driveRuns(ctx context.Context, i agent.Instructions) error {
	place := agent.NewContainer()
	for {
		i.Gateway = cmp.Or(os.Getenv(backend.GatewayVariable), i.Gateway)
		err := a.withInstructed(ctx, i, func(h core.Handle) error { return experiment.Drive(ctx, h, i) })
		if err != nil || !i.Another || !place.Clean() {
			return err
		}
		next := nextRun(ctx, i)
		if next == nil {
			return nil
		}
		i = *next
	}
}

// nextPatience is how long an agent waits for another run.
const nextPatience = time.Minute

// nextRun asks for another run. Nil is none: this program's own has ended well, whatever
// keeps it from another one.
func nextRun(ctx context.Context, i agent.Instructions) *agent.Instructions {
	asking, stop := context.WithTimeout(ctx, nextPatience)
	defer stop()
	text, err := gateway.Next(asking, i.Gateway, i.Token)
	if err != nil || len(text) == 0 {
		return nil
	}
	next, err := agent.ReadInstructions(bytes.NewReader(text))
	if err != nil {
		return nil
	}
	return &next
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
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if i.Gateway == "" {
		ws, err := a.openInstructed(ctx, i, log)
		if err != nil {
			return err
		}
		defer closeAfter(ctx, ws, &err)
		return fn(workspace.Handle(ws))
	}
	h, closer, err := gateway.Open(ctx, i.Gateway, i.Token, gateway.OpenOptions{CacheDir: i.CacheDir, Who: i.Who, Logger: log})
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		err = errors.Join(err, h.Close(closing), closer.Close())
	}()
	return fn(h)
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

// Command azml-agent is the part of azml that compute targets need: it drives runs that
// have the workspace through a gateway, and runs jobs for an azml on another machine.
// azml puts it on targets instead of itself where it lies beside it, for it is half
// as big; it understands nothing but what azml asks of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/docker"
	"github.com/azml-go/azml/backend/ssh/jobs"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/drive"
	"github.com/azml-go/azml/internal/interrupt"
	"github.com/azml-go/azml/internal/terminal"
)

func main() {
	ctx, stop := interrupt.Notice(os.Exit).Watch(context.Background(), os.Stderr)
	err := run(ctx, os.Args[1:])
	interrupted := ctx.Err() != nil
	stop()
	os.Exit(exitCode(err, interrupted))
}

// run does what azml's commands of the same names do.
func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "agent":
		return drive.Runs(ctx, os.Stdin, drive.ThroughGateway(drive.Logger(os.Stderr)))
	case len(args) > 1 && args[0] == "jobs":
		return jobs.Run(ctx, args[1:], os.Stdin, os.Stdout, docker.Kind{})
	}
	return fmt.Errorf("%w: this program is started by azml alone, on compute targets", azml.ErrInvalid)
}

// exitCode says what is wrong and gives the code for it.
func exitCode(err error, interrupted bool) int {
	ended, isCode := errors.AsType[jobs.Ended](err)
	switch {
	case err == nil:
		return 0
	case isCode:
		return ended.Code
	case interrupted:
		fmt.Fprintln(os.Stderr, "azml: interrupted")
		return agent.ExitAsked
	}
	fmt.Fprintln(os.Stderr, "azml:", terminal.Clean(err.Error()))
	return 1
}

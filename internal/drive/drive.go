// Package drive is what a program does that was started as the agent of a run, or of
// several: azml itself, or azml-agent.
package drive

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/gateway"
)

// Opener opens the workspace that instructions name for the time of fn.
type Opener func(ctx context.Context, i agent.Instructions, fn func(h core.Handle) error) error

// Runs drives the run whose instructions are read, and then others as long as who has
// started this program has one for it, and the place is as clean as another would be.
func Runs(ctx context.Context, instructions io.Reader, with Opener) error {
	i, err := agent.ReadInstructions(instructions)
	if err != nil {
		return err
	}
	place := agent.NewContainer()
	for {
		i.Gateway = cmp.Or(os.Getenv(backend.GatewayVariable), i.Gateway)
		err := with(ctx, i, func(h core.Handle) error { return experiment.Drive(ctx, h, i) })
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

// Logger gives the log of a program that is started by azml.
func Logger(stderr io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// ThroughGateway gives the opener of workspaces that are lent.
func ThroughGateway(log *slog.Logger) Opener {
	return func(ctx context.Context, i agent.Instructions, fn func(h core.Handle) error) error {
		h, closer, err := gateway.Open(ctx, i.Gateway, i.Token, gateway.OpenOptions{CacheDir: i.CacheDir, Who: i.Who, Logger: log})
		if err != nil {
			return err
		}
		err = fn(h)
		const closeTime = time.Minute
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		return errors.Join(err, h.Close(closing), closer.Close())
	}
}

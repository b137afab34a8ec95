package compute

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
)

// try runs a job that does nothing.
func try(ctx context.Context, on backend.Compute) (err error) {
	job := backend.Job{ID: "check-" + core.NewID(8), Command: []string{"/bin/sh", "-c", "exit 0"}, Dir: "/"}
	waitsFor, stop := reasons(ctx, on, job.ID)
	err = on.Start(ctx, job)
	stop()
	if reason := waitsFor.Load(); err != nil && ctx.Err() != nil && reason != nil {
		return fmt.Errorf("a job that does nothing did not begin in time: %s: %w", *reason, err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, forget(context.WithoutCancel(ctx), on, job.ID)) }()
	status, err := on.Wait(ctx, job.ID)
	if err == nil && (status.State != backend.JobExited || status.ExitCode != 0) {
		err = fmt.Errorf("%w: a job that does nothing ended with exit code %d %s", azml.ErrFailed, status.ExitCode, status.Reason)
	}
	return err
}

// reasons looks every second what the job waits for, until stop is called.
func reasons(ctx context.Context, on backend.Compute, id string) (last *atomic.Pointer[string], stop func()) {
	last = &atomic.Pointer[string]{}
	looking, stopLooking := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-time.After(time.Second):
			case <-looking.Done():
				return
			}
			if s, err := on.Status(looking, id); err == nil && s.Reason != "" {
				last.Store(&s.Reason)
			}
		}
	}()
	return last, func() { stopLooking(); <-ended }
}

// forget ends and removes the job.
func forget(ctx context.Context, on backend.Compute, id string) error {
	const patience = time.Minute
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := on.Cancel(ctx, id, 0); err != nil {
		return err
	}
	return on.Remove(ctx, id)
}

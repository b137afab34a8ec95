package keeper

import (
	"context"
	"fmt"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/pause"
)

// start starts the agent's job within the time that the run has for that. What the
// target says meanwhile, such as that no node has room, is what the run waits for.
func (k *keeper) start(ctx context.Context, job backend.Job) error {
	limited := ctx
	if limit := time.Duration(k.run.Definition.MaxStart) * time.Second; limit > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w: it did not begin within %s", azml.ErrFailed, limit))
		defer cancel()
	}
	watching, stop := context.WithCancel(limited)
	said, last := make(chan struct{}), ""
	go func() {
		defer close(said)
		for pause.For(watching, lookEvery) {
			status, err := k.target.Status(watching, job.ID)
			if err != nil || status.Reason == "" || status.Reason == last {
				continue
			}
			last = status.Reason
			k.say(watching, fmt.Sprintf("compute target %s: %s", k.run.Definition.Compute, last))
		}
	}()
	err := k.target.Start(limited, job)
	stop()
	<-said
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = context.Cause(limited)
		if last != "" {
			err = fmt.Errorf("%w: %s", err, last)
		}
	}
	return err
}

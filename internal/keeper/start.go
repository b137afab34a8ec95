package keeper

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/pause"
)

// start starts the agent's job within the time that the run has for that. What the
// target says meanwhile, such as that no node has room, is what the run waits for.
func (k *keeper) start(ctx context.Context, job backend.Job) error {
	limit := cmp.Or(time.Duration(k.run.Definition.MaxStart)*time.Second, math.MaxInt64)
	limited, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	late := time.AfterFunc(limit, func() { giveUp(fmt.Errorf("%w: it did not begin within %s", azml.ErrFailed, limit)) })
	defer late.Stop()
	watching, stop := context.WithCancel(limited)
	said, last := make(chan struct{}), ""
	go func() {
		defer close(said)
		last = k.sayWhatFor(watching, job.ID, func() {
			k.launched = k.h.Now()
			late.Reset(limit)
		})
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

// sayWhatFor notes what the job waits for until ctx ends, and gives what that was last. As
// long as it waits for room whose time does not count, it calls anew.
func (k *keeper) sayWhatFor(ctx context.Context, job string, anew func()) (last string) {
	for pause.For(ctx, lookEvery) {
		status, err := k.target.Status(ctx, job)
		if err != nil {
			continue
		}
		if status.WaitsForRoom && k.run.Definition.WaitsForRoom && !k.run.Agent.Saves { // a run must end
			anew()
		}
		if status.Reason != "" && status.Reason != last {
			last = status.Reason
			k.say(ctx, fmt.Sprintf("compute target %s: %s", k.run.Definition.Compute, last))
		}
	}
	return last
}

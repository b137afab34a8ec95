package keeper

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/pause"
)

// start starts the agent's job within the time that the run has for that.
func (k *keeper) start(ctx context.Context, job backend.Job) error {
	return k.inTime(ctx, task{limit: k.run.Definition.MaxStart, late: "did not begin",
		status: func(ctx context.Context) (backend.JobStatus, error) { return k.target.Status(ctx, job.ID) }},
		func(ctx context.Context) error { return k.target.Start(ctx, job) })
}

// task is what the target is to do for the run in time.
type task struct {
	limit int64  // in seconds, 0 for none
	late  string // is what became of it when that is over
	what  string // it does, where the job's reason alone does not tell
	// status tells how the job is that does it; nil when there is none to ask for.
	status func(context.Context) (backend.JobStatus, error)
}

// says is what the run waits for, as the job is; "" when that needs no words.
func (t task) says(s backend.JobStatus) string {
	return strings.Trim(t.what+": "+s.Reason, ": ")
}

// inTime does a task. What the target says meanwhile, such as that no node has room, is
// what the run waits for.
func (k *keeper) inTime(ctx context.Context, t task, do func(context.Context) error) error {
	limit := cmp.Or(time.Duration(t.limit)*time.Second, math.MaxInt64)
	limited, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	late := time.AfterFunc(limit, func() { giveUp(fmt.Errorf("%w: it %s within %s", azml.ErrFailed, t.late, limit)) })
	defer late.Stop()
	watching, stop := context.WithCancel(limited)
	said, last := make(chan struct{}), ""
	go func() {
		defer close(said)
		last = k.sayWhatFor(watching, t, func() {
			k.launched = k.h.Now()
			late.Reset(limit)
		})
	}()
	err := do(limited)
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

// sayWhatFor notes what the task's job waits for until ctx ends, and gives what that was
// last. As long as it waits for room whose time does not count, the time begins anew.
func (k *keeper) sayWhatFor(ctx context.Context, t task, anew func()) (last string) {
	said := t.what
	for t.status != nil && pause.For(ctx, lookEvery) {
		status, err := t.status(ctx)
		if err != nil {
			continue
		}
		if status.WaitsForRoom && k.run.Definition.WaitsForRoom && !k.run.Agent.Saves { // a run must end
			anew()
		}
		if text := t.says(status); text != "" && text != said {
			said, last = text, status.Reason
			k.say(ctx, fmt.Sprintf("compute target %s: %s", k.run.Definition.Compute, text))
		}
	}
	return last
}

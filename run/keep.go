package run

import (
	"context"
	"errors"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/keeper"
)

// keepEvery is the time between two tries to keep a run that another process
// keeps, or whose target does not answer.
const keepEvery = 2 * time.Second

// keepElsewhere keeps a run that an agent drives on another machine, unless another process
// does: it lends the agent the workspace and finds out when it is gone. It goes on
// until the run has ended, ctx has, or, with once, somebody else keeps the run.
func (r *Run) keepElsewhere(ctx context.Context, once bool) {
	if r.record().Agent == nil || r.Status().Terminal() {
		return
	}
	err := r.h.Go(func(closing context.Context) {
		closing, stop := context.WithCancel(closing)
		defer stop()
		defer context.AfterFunc(ctx, stop)()
		for {
			err := keeper.Attach(closing, r.h, r.id)
			if err == nil || closing.Err() != nil || once && errors.Is(err, azml.ErrConflict) || r.Refresh(closing) == nil && r.Status().Terminal() {
				return
			}
			r.h.Logger().Debug("a run is not kept by this process", "run", r.id, "error", err)
			select {
			case <-time.After(keepEvery):
			case <-closing.Done():
				return
			}
		}
	})
	if err != nil {
		r.h.Logger().Debug("a run is not kept by this process", "run", r.id, "error", err)
	}
}

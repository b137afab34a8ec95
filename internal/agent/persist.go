package agent

import (
	"context"
	"errors"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// persistEvery is the time between two tries of persist.
const persistEvery = time.Second

// persist does what must be done for a run to come to its end: while the store
// does not answer, or its disk is full, it begins again, until ctx ends, and
// tells waits of each failure. The retries of the store itself are for hiccups;
// this is for outages.
func persist(ctx context.Context, waits func(error), do func(ctx context.Context) error) error {
	for {
		err := do(ctx)
		if !errors.Is(err, azml.ErrUnavailable) {
			return err
		}
		waits(err)
		select {
		case <-time.After(persistEvery):
		case <-ctx.Done():
			return err
		}
	}
}

// noteTime bounds the attempt to say in a record why its run is stuck.
const noteTime = 5 * time.Second

// waits says once what the run waits for: in the log, and in the run's record as
// soon as the store takes that. One outage fails in other words each time.
func (d *drive) waits(reason error) {
	d.noting.Lock()
	defer d.noting.Unlock()
	if d.noted {
		return
	}
	d.h.Logger().Warn("a run waits for the store", "run", d.run.ID, "error", reason)
	ctx, cancel := context.WithTimeout(context.Background(), noteTime)
	defer cancel()
	err := d.change(ctx, func(r *record.Run) error {
		if r.Status.Terminal() {
			return core.ErrNoChange
		}
		r.WaitsFor = "the store: " + reason.Error()
		return nil
	})
	d.noted = err == nil
}

// waitsNoMore takes back what waits has said, for a run that goes on.
func (d *drive) waitsNoMore() {
	d.noting.Lock()
	defer d.noting.Unlock()
	if !d.noted {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), noteTime)
	defer cancel()
	d.noted = d.change(ctx, func(r *record.Run) error { r.WaitsFor = ""; return nil }) != nil
}

// outlive gives a context that ends some time after ctx.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		select {
		case <-ctx.Done():
		case <-longer.Done():
			return
		}
		timer := time.NewTimer(by)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-longer.Done():
		}
	}()
	return longer, cancel
}

package agent

import (
	"context"
	"errors"
	"time"

	"github.com/azml-go/azml"
)

// persistEvery is the time between two tries of persist.
const persistEvery = time.Second

// persist does what must be done for a run to come to its end: while the store
// does not answer, it begins again, until ctx ends. The retries of the store
// itself are for hiccups; this is for outages.
func persist(ctx context.Context, do func(ctx context.Context) error) error {
	for {
		err := do(ctx)
		if !errors.Is(err, azml.ErrUnavailable) {
			return err
		}
		select {
		case <-time.After(persistEvery):
		case <-ctx.Done():
			return err
		}
	}
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

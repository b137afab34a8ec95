package scoring

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/openinference"
	"github.com/azml-go/azml/internal/router"
)

type fleet = router.Fleet[Scorer]

// loads is what a deployment has loaded. Unloading ends the replicas and leaves the
// deployment where it is, so that whoever changes routes or shares of traffic meanwhile
// need not know of it.
type loads struct {
	start func(ctx context.Context) (*fleet, error)
	now   atomic.Pointer[fleet]               // nil when unloaded
	doing atomic.Pointer[openinference.State] // Loading or Unloading, else nil
	life  context.Context                     //nolint:containedctx // it ends with the deployment
	end   context.CancelFunc
	turn  turn // of who loads, unloads or closes
}

// begin begins a change of what is loaded, when those before have ended. Errors: the
// context's.
func (l *loads) begin(ctx context.Context, change openinference.State) (end func(), err error) {
	if err := l.turn.take(ctx); err != nil {
		return nil, err
	}
	l.doing.Store(&change)
	return func() {
		l.doing.Store(nil)
		l.turn.give()
	}, nil
}

// none tells why nothing is loaded. What is asked of an unloaded deployment after its end
// goes to who has taken its place, as it does with one that was loaded.
func (l *loads) none() error {
	if l.life.Err() != nil {
		return router.ErrDrained
	}
	return openinference.ErrUnloaded
}

// acquire gives a replica of what is loaded. Errors: those of router.Pool.Acquire,
// openinference.ErrUnloaded.
func (l *loads) acquire(ctx context.Context, patience time.Duration) (*fleet, *router.Lease[Scorer], error) {
	for {
		replicas := l.now.Load()
		if replicas == nil {
			return nil, nil, l.none()
		}
		lease, err := replicas.Acquire(ctx, patience)
		if errors.Is(err, router.ErrDrained) && l.now.Load() != replicas {
			continue // it was unloaded at this very moment
		}
		return replicas, lease, err
	}
}

// Load starts the least number of replicas, one at least, and returns when they are
// ready; at once when the deployment is loaded. Errors: ErrClosed, those of
// DeploymentConfig.Start and of the context.
func (d *Deployment) Load(ctx context.Context) error {
	l := &d.loads
	ctx, cancel := l.within(ctx)
	defer cancel()
	end, err := l.begin(ctx, openinference.Loading)
	if err != nil {
		return l.orEnded(err)
	}
	defer end()
	if l.life.Err() != nil {
		return router.ErrDrained
	}
	if l.now.Load() != nil {
		return nil
	}
	replicas, err := l.start(ctx)
	if err == nil {
		l.now.Store(replicas)
	}
	return err
}

// within gives a context that ends with the deployment, too.
func (l *loads) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.life, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// orEnded gives the error of a change, or that the deployment has ended, which is why.
func (l *loads) orEnded(err error) error {
	if l.life.Err() != nil {
		return router.ErrDrained
	}
	return err
}

// unloadTime is how long replicas get for their end, beside what their last request may take.
const unloadTime = 30 * time.Second

// Unload takes no more requests, waits for those that were taken, and ends the replicas;
// whoever asked for it may go away once it has begun. Errors: ErrUnavailable when requests
// were cut off, ErrClosed when the deployment has ended, which ends the replicas then; the context's.
func (d *Deployment) Unload(ctx context.Context) error {
	l := &d.loads
	waiting, stop := l.within(ctx)
	defer stop()
	end, err := l.begin(waiting, openinference.Unloading)
	if err != nil {
		return l.orEnded(err)
	}
	defer end()
	if l.life.Err() != nil {
		return router.ErrDrained
	}
	replicas := l.now.Swap(nil)
	if replicas == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.MaxQueueWait+d.cfg.ScoringTimeout+unloadTime)
	defer cancel()
	defer context.AfterFunc(l.life, cancel)()
	if replicas.Drain(ctx) != nil && l.life.Err() != nil {
		l.now.Store(replicas) // Close waits for the requests as long as it may
		return router.ErrDrained
	}
	return replicas.Close(ctx)
}

// Close takes no more requests, waits for those that were taken, and ends the
// replicas; when ctx ends, by force. What is being loaded is given up. Errors:
// ErrUnavailable when requests were cut off, or when a load does not give up, whose
// replicas are ended when it does.
func (d *Deployment) Close(ctx context.Context) error {
	l := &d.loads
	l.end()
	end, err := l.begin(ctx, openinference.Unloading)
	if err != nil {
		go d.closeLater(ctx)
		return fmt.Errorf("%w: deployment %q is still being loaded or unloaded: %w", azml.ErrUnavailable, d.Name(), err)
	}
	defer end()
	replicas := l.now.Load() // it stays, so that late requests are told to look for who has taken its place
	if replicas == nil {
		return nil
	}
	return replicas.Close(ctx)
}

// closeLater closes by force what a load gives that did not end in time.
func (d *Deployment) closeLater(ended context.Context) {
	end, err := d.loads.begin(context.WithoutCancel(ended), openinference.Unloading)
	if err != nil {
		return // it has no end
	}
	defer end()
	if replicas := d.loads.now.Load(); replicas != nil {
		if err := replicas.Close(ended); err != nil {
			d.cfg.Logger.Warn("replicas that came late did not end in order", "error", err)
		}
	}
}

// Available gives nil when a request would be answered, else why not.
func (d *Deployment) Available() error {
	if replicas := d.loads.now.Load(); replicas != nil {
		return replicas.Available()
	}
	return d.loads.none()
}

// entry is the deployment's line in the index of models.
func (d *Deployment) entry() openinference.Entry {
	e := openinference.Entry{Version: d.Name(), State: openinference.Ready}
	err := d.Available()
	switch doing := d.loads.doing.Load(); {
	case err == nil:
	case doing != nil:
		e.State = *doing
	case errors.Is(err, openinference.ErrUnloaded):
		e.State, e.Reason = openinference.Unavailable, "unloaded"
	default:
		e.State, e.Reason = openinference.Unavailable, "no replica is ready"
	}
	return e
}

// loaded gives the replicas and requests of what is loaded.
func (d *Deployment) loaded() router.Stats {
	if replicas := d.loads.now.Load(); replicas != nil {
		return replicas.Stats()
	}
	return router.Stats{}
}

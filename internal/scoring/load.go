package scoring

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

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
	mu    sync.Mutex // held while something is loaded, unloaded or closed
}

// begin begins a change of what is loaded, when those before have ended.
func (l *loads) begin(change openinference.State) (end func()) {
	l.mu.Lock()
	l.doing.Store(&change)
	return func() {
		l.doing.Store(nil)
		l.mu.Unlock()
	}
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
// DeploymentConfig.Start.
func (d *Deployment) Load(ctx context.Context) error {
	l := &d.loads
	defer l.begin(openinference.Loading)()
	if l.life.Err() != nil {
		return router.ErrDrained
	}
	if l.now.Load() != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.life, cancel)()
	replicas, err := l.start(ctx)
	if err == nil {
		l.now.Store(replicas)
	}
	return err
}

// unloadTime is how long replicas get for their end, beside what their last request may take.
const unloadTime = 30 * time.Second

// Unload takes no more requests, waits for those that were taken, and ends the replicas;
// whoever asked for it may go away meanwhile. Errors: ErrUnavailable when requests were
// cut off.
func (d *Deployment) Unload(ctx context.Context) error {
	l := &d.loads
	defer l.begin(openinference.Unloading)()
	if l.life.Err() != nil {
		return nil // its end is under way
	}
	replicas := l.now.Swap(nil)
	if replicas == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.MaxQueueWait+d.cfg.ScoringTimeout+unloadTime)
	defer cancel()
	return replicas.Close(ctx)
}

// Close takes no more requests, waits for those that were taken, and ends the
// replicas; when ctx ends, by force. What is being loaded is given up. Errors:
// ErrUnavailable when requests were cut off.
func (d *Deployment) Close(ctx context.Context) error {
	l := &d.loads
	l.end()
	defer l.begin(openinference.Unloading)()
	replicas := l.now.Load() // it stays, so that late requests are told to look for who has taken its place
	if replicas == nil {
		return nil
	}
	return replicas.Close(ctx)
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

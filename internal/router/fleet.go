package router

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Closer is a replica that ends.
type Closer interface {
	Replica
	// Close ends the replica and returns when nothing of it is left. When ctx
	// ends, it ends by force.
	Close(ctx context.Context) error
}

// Reviving is a replica that may become ready again by itself.
type Reviving interface {
	// OnReady has f called whenever the replica has become ready again.
	OnReady(f func())
}

// FleetConfig says what a Fleet consists of.
type FleetConfig[R Closer] struct {
	// Start starts a replica and returns when it can take requests. ctx bounds
	// the start only.
	Start func(ctx context.Context) (R, error)
	// Limit is how many requests a replica gets at once, 0 for any number.
	Limit int
	// MaxQueue is how many requests may wait at once.
	MaxQueue int
	// MaxWait is how long a request waits for a replica.
	MaxWait time.Duration
	// Scale says how many replicas there are.
	Scale Scale
	// Logger gets what happens to replicas, never nil.
	Logger *slog.Logger
}

// The pauses between starts that fail.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 30 * time.Second
)

// closeTime is how long a replica that is no longer needed gets for its end.
const closeTime = 30 * time.Second

// Fleet is a pool with its replicas, which it starts and ends. It is safe for
// concurrent use.
type Fleet[R Closer] struct {
	*Pool[R]
	cfg    FleetConfig[R]
	life   context.Context //nolint:containedctx // it ends with the fleet
	end    context.CancelFunc
	tasks  sync.WaitGroup
	needed chan struct{} // a request waits

	mu       sync.Mutex
	all      map[*Lease[R]]struct{} // those that were started and not ended
	starting int
	pause    time.Duration
	next     time.Time // no start before that
}

// StartFleet starts the least number of replicas, but one at least, and returns
// when all are ready. When one fails to start, all are ended and its error is
// given. Errors: ErrInvalid, those of Start.
func StartFleet[R Closer](ctx context.Context, cfg FleetConfig[R]) (*Fleet[R], error) {
	if err := cfg.Scale.Check(); err != nil {
		return nil, err
	}
	cfg.Scale = cfg.Scale.withDefaults()
	f := &Fleet[R]{Pool: NewPool[R](cfg.MaxQueue, cfg.MaxWait), cfg: cfg, needed: make(chan struct{}, 1), all: map[*Lease[R]]struct{}{}}
	f.life, f.end = context.WithCancel(context.Background()) //nolint:gosec // Close calls it
	if cfg.Scale.Min == 0 {
		f.missed = f.miss
	}
	if err := f.startFirst(ctx, max(cfg.Scale.Min, 1)); err != nil {
		ended, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		return nil, errors.Join(err, f.Close(ended))
	}
	if !cfg.Scale.fixed() {
		f.tasks.Go(f.run)
	}
	return f, nil
}

// startFirst starts n replicas at once. The first failure ends the others.
func (f *Fleet[R]) startFirst(ctx context.Context, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var starting sync.WaitGroup
	for range n {
		starting.Go(func() {
			if err := f.startOne(ctx); err != nil {
				cancel(err)
			}
		})
	}
	starting.Wait()
	return context.Cause(ctx)
}

func (f *Fleet[R]) startOne(ctx context.Context) error {
	r, err := f.cfg.Start(ctx)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all[f.Add(r, f.cfg.Limit)] = struct{}{}
	if reviving, ok := any(r).(Reviving); ok {
		reviving.OnReady(f.Wake)
	}
	return nil
}

// miss tells that a request waits.
func (f *Fleet[R]) miss() {
	select {
	case f.needed <- struct{}{}:
	default:
	}
}

// run keeps the number of replicas what it should be, until the fleet ends.
func (f *Fleet[R]) run() {
	s := &scaler{scale: f.cfg.Scale, limit: f.cfg.Limit}
	ticker := time.NewTicker(f.cfg.Scale.Period / looks)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-f.life.Done():
			return
		case <-f.needed:
			if f.count() == 0 {
				f.grow(1)
			}
			continue
		case <-ticker.C:
		}
		s.look(f.Stats())
		if n%looks == 0 {
			f.adjust(s.decide(time.Now(), f.count()))
		}
	}
}

// count gives the number of replicas, those that are being started among them.
func (f *Fleet[R]) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Stats().Replicas + f.starting
}

func (f *Fleet[R]) adjust(want int) {
	there := f.count()
	if want == 0 && f.Stats().Queued > 0 {
		want = 1
	}
	if want > there {
		f.grow(want - there)
	}
	for n := there; n > want; n-- {
		f.shrink()
	}
}

// grow starts replicas, unless starts have failed just now.
func (f *Fleet[R]) grow(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Now().Before(f.next) {
		return
	}
	for range n {
		f.starting++
		f.tasks.Go(f.startLater)
	}
}

func (f *Fleet[R]) startLater() {
	err := f.startOne(f.life)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starting--
	if err == nil {
		f.pause = 0
		return
	}
	if f.life.Err() != nil {
		return
	}
	f.pause = min(max(2*f.pause, firstPause), lastPause)
	f.next = time.Now().Add(f.pause)
	f.cfg.Logger.Error("a replica did not start", "error", err, "next_try_in", f.pause)
}

// shrink ends one replica when its last request has ended.
func (f *Fleet[R]) shrink() {
	l, idle := f.Remove()
	if l == nil {
		return
	}
	f.tasks.Go(func() {
		select {
		case <-idle:
		case <-f.life.Done():
			return // Close ends it
		}
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		if err := l.Replica.Close(ctx); err != nil {
			f.cfg.Logger.Warn("a replica did not end in order", "error", err)
		}
		f.mu.Lock()
		delete(f.all, l)
		f.mu.Unlock()
	})
}

// Available gives nil when a request would be answered: when a replica is ready,
// or is started for whoever asks.
func (f *Fleet[R]) Available() error {
	err := f.Ready()
	if f.cfg.Scale.Min == 0 && f.count() == 0 && !errors.Is(err, ErrDrained) {
		return nil
	}
	return err
}

// Close takes no more requests, waits for those that were taken, and ends all
// replicas; when ctx ends, by force. Errors: ErrUnavailable when requests were
// cut off, those of the replicas.
func (f *Fleet[R]) Close(ctx context.Context) error {
	err := f.Drain(ctx)
	f.end()
	f.tasks.Wait()
	var closing sync.WaitGroup
	var mu sync.Mutex
	for l := range f.all {
		closing.Go(func() {
			if failed := l.Replica.Close(ctx); failed != nil {
				mu.Lock()
				defer mu.Unlock()
				err = errors.Join(err, failed)
			}
		})
	}
	closing.Wait()
	return err
}

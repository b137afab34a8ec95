package compute

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
)

// idleTime is how long a target that nobody uses stays open: who has looked whether
// it can take a run starts one next, and opening may mean to log in.
const idleTime = 5 * time.Second

// opened are the targets that are open, by their records: all runs of a workspace on
// one target share what it holds, such as a connection.
type opened struct {
	mu    sync.Mutex
	there map[string]*shared
}

// shared is one open target.
type shared struct {
	backend.OpenedCompute
	users int
	idle  *time.Timer // closes it; nil while there are users
}

// open gives the target to one more user.
func (o *opened) open(ctx context.Context, t *Target) (backend.OpenedCompute, error) {
	record, err := json.Marshal(t.record) //nolint:gosec // the name of its secret, which is new each time it is attached
	if err != nil {
		return nil, err
	}
	key := string(record)
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.there[key]
	if s == nil {
		source, err := t.source(ctx)
		if err != nil {
			return nil, err
		}
		target, err := openSource(ctx, t.h, source)
		if err != nil {
			return nil, err
		}
		s = &shared{OpenedCompute: target}
		if o.there == nil {
			o.there = map[string]*shared{}
		}
		o.there[key] = s
	}
	if s.users++; s.idle != nil {
		s.idle.Stop()
		s.idle = nil
	}
	return &lent{OpenedCompute: s.OpenedCompute, giveBack: sync.OnceFunc(func() { o.giveBack(key, s) })}, nil
}

// giveBack closes the target a while after its last user.
func (o *opened) giveBack(key string, s *shared) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s.users--; s.users > 0 {
		return
	}
	if o.there[key] != s { // the workspace was closed
		_ = s.Close()
		return
	}
	var idle *time.Timer
	idle = time.AfterFunc(idleTime, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if s.idle == idle {
			delete(o.there, key)
			_ = s.Close() // of connections that nobody needs
		}
	})
	s.idle = idle
}

// Close closes what nobody uses, and has the rest closed by their last users.
func (o *opened) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var err error
	for _, s := range o.there {
		if s.idle != nil {
			s.idle.Stop()
			s.idle = nil
			err = errors.Join(err, s.Close())
		}
	}
	o.there = nil
	return err
}

// lent is a target as one of its users has it.
type lent struct {
	backend.OpenedCompute
	giveBack func()
}

// Close gives the target back.
func (l *lent) Close() error {
	l.giveBack()
	return nil
}

// Unwrap gives the target itself, which may be able to do more.
func (l *lent) Unwrap() any { return l.OpenedCompute }

// open opens the target, or gives the one that is open.
func open(ctx context.Context, t *Target) (backend.OpenedCompute, error) {
	o, err := core.Own(t.h, func(core.Handle) (*opened, error) { return &opened{}, nil })
	if err != nil {
		return nil, err
	}
	return o.open(ctx, t)
}

package scoring

import (
	"context"
	"sync"
	"time"
)

// limited is a request's context with the time limit of scoring. Its timer and its
// place among the request's contexts are made when somebody first waits for its
// end: most scorers never do.
type limited struct {
	context.Context // the request's

	mu       sync.Mutex
	deadline time.Time       // zero before scoring begins
	real     context.Context //nolint:containedctx // this is one
	cancel   context.CancelFunc
	ended    bool

	clock clock // rings at the deadline for who waits for the answer
}

// begin sets the time limit, and gives when it is over. Who has asked for Done before sees only the end of the
// request there.
func (l *limited) begin(limit time.Duration) (ends time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = time.Now().Add(limit)
	if before := l.cancel; before != nil {
		var cancel context.CancelFunc
		l.real, cancel = context.WithDeadline(l.real, l.deadline)
		l.cancel = func() { cancel(); before() }
	}
	return l.deadline
}

// made gives the context that does the work.
func (l *limited) made() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.real == nil {
		if l.deadline.IsZero() {
			l.real, l.cancel = context.WithCancel(l.Context)
		} else {
			l.real, l.cancel = context.WithDeadline(l.Context, l.deadline)
		}
		if l.ended {
			l.cancel()
		}
	}
	return l.real
}

// Deadline gives the time limit, or the request's own where that is earlier.
func (l *limited) Deadline() (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own, ok := l.Context.Deadline(); l.deadline.IsZero() || ok && own.Before(l.deadline) {
		return own, ok
	}
	return l.deadline, true
}

// Done is closed at the time limit, when the request ends, and when scoring has.
func (l *limited) Done() <-chan struct{} { return l.made().Done() }

// Err tells why Done is closed, nil before that.
func (l *limited) Err() error {
	l.mu.Lock()
	late := !l.deadline.IsZero() && !time.Now().Before(l.deadline)
	ended := l.real != nil || l.ended || late || l.Context.Err() != nil
	l.mu.Unlock()
	if !ended {
		return nil
	}
	return l.made().Err()
}

// Value gives the request's values. Package context asks for one of its own to
// find the context that does the work.
func (l *limited) Value(key any) any {
	l.mu.Lock()
	of := l.real
	l.mu.Unlock()
	if of == nil {
		of = l.Context
	}
	return of.Value(key)
}

// end frees what was made: scoring has ended.
func (l *limited) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended = true; l.cancel != nil {
		l.cancel()
	}
}

package scoring

import (
	"context"
	"sync/atomic"
	"time"
)

// line is the order in which a worker's calls are sent and their answers read. The
// worker answers in the order in which it was asked, so whoever has sent a request
// waits until the answer before its own was read, and then reads.
type line struct {
	sending chan struct{} // holds one token; who has it may send
	last    chan struct{} // closed when the last call in the line is over; of who has the token
	exited  <-chan struct{}
	broken  error // what becomes of who is next, nil while the worker is in order; of who has the turn

	inRow atomic.Int32 // calls that were quick, one after the other
}

// newLine makes a line that is taken until the first leave.
func newLine(exited <-chan struct{}) line {
	over := make(chan struct{})
	close(over)
	return line{sending: make(chan struct{}, 1), last: over, exited: exited}
}

// join takes the token. Errors: errNotStarted when the worker has ended, the
// context's.
func (l *line) join(ctx context.Context, c *call) error {
	select {
	case <-l.sending:
		return nil
	default: // whoever waits for a context's end makes it cost something
	}
	select {
	case <-l.sending:
		return nil
	case <-l.exited:
		c.lost(errWorkerDied)
		return errNotStarted
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave gives the token back.
func (l *line) leave() { l.sending <- struct{}{} }

// empty waits until all calls that have joined are over, or the worker has ended.
func (l *line) empty(ctx context.Context) error {
	select {
	case <-l.sending:
	case <-l.exited:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	last := l.last
	l.leave()
	select {
	case <-last:
	case <-l.exited:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

const (
	// ahead is how many requests a worker is given beyond the one that runs.
	ahead = 3
	// maxEarly is how large one may be that is sent before its turn, in bytes: so
	// many of them fit into a pipe, and nobody waits in the middle of sending one.
	maxEarly = 8 << 10
	// A worker whose last calls, so many of them, each took less than quickCall is
	// given requests ahead: what waits behind one that is under way waits no longer.
	quickCalls = 16
	quickCall  = 500 * time.Microsecond
)

// note tells how long run() took.
func (l *line) note(took time.Duration) {
	switch n := l.inRow.Load(); {
	case took >= quickCall || took == 0:
		l.inRow.Store(0)
	case n < quickCalls:
		l.inRow.Store(n + 1)
	}
}

// quick tells whether requests are to be sent ahead.
func (l *line) quick() bool { return l.inRow.Load() >= quickCalls }

// ended tells whether a channel is closed that is only ever closed.
func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

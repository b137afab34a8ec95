package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Machine is how a Driver gets to a machine.
type Machine struct {
	// Name names the machine in errors.
	Name string
	// Connect makes a connection, one at a time. The context bounds this call.
	Connect func(ctx context.Context) (Connection, error)
	// Patience is for how long calls go on trying when a connection was lost. Calls
	// on a machine that has not been reached for so long, or never, try once.
	Patience time.Duration
}

// Connection is a connection to Serve on a machine.
type Connection interface {
	// Client asks for jobs over the connection.
	Client() *Client
	// Platform tells what programs the machine runs.
	Platform() backend.Platform
	// Alive tells whether calls can be made.
	Alive() bool
	// Close ends the connection and returns when nothing of it is left. Jobs go on.
	Close()
}

// Driver runs jobs on a machine, over connections that may be lost. It implements
// backend.Compute and backend.Remote, is safe for concurrent use, and any number
// of drivers in any number of processes can work with one machine and one folder
// there.
type Driver struct {
	machine Machine

	mu      sync.Mutex
	current *connection
	attempt *attempt
	// lostAt is when the last connection was lost, or found to be; zero while
	// there was none.
	lostAt time.Time
	// pause is the time between attempts, next when another may begin.
	pause  time.Duration
	next   time.Time
	closed bool
	// life ends with Close.
	life   context.Context
	end    context.CancelFunc
	trying sync.WaitGroup
}

var _ backend.OpenedCompute = (*Driver)(nil)

// connection is one that was made, and when.
type connection struct {
	Connection
	began time.Time
}

// NewDriver gives a driver for the machine, to which it connects when it is first
// used. Close it.
func NewDriver(machine Machine) *Driver {
	d := &Driver{machine: machine}
	d.life, d.end = context.WithCancel(context.Background())
	return d
}

// Close ends the connection, listeners and what waits. Jobs go on.
func (d *Driver) Close() error {
	d.mu.Lock()
	d.closed = true
	current := d.current
	d.current = nil
	d.mu.Unlock()
	d.end()
	if current != nil {
		current.Close()
	}
	d.trying.Wait()
	return nil
}

// attempt is somebody connecting, for whom others wait.
type attempt struct {
	done chan struct{}
	conn *connection
	err  error
}

// connected gives the connection, made now when there is none. Whoever needs one
// while it is being made waits for the same.
func (d *Driver) connected(ctx context.Context) (*connection, error) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil, d.errClosed()
	}
	if c := d.current; c != nil {
		if c.Alive() {
			d.mu.Unlock()
			return c, nil
		}
		d.lost(c)
	}
	if d.attempt == nil {
		d.attempt = &attempt{done: make(chan struct{})}
		a, wait := d.attempt, time.Until(d.next)
		d.trying.Go(func() { d.try(a, wait) })
	}
	a := d.attempt
	d.mu.Unlock()
	select {
	case <-a.done:
		return a.conn, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *Driver) errClosed() error {
	return fmt.Errorf("%w: the driver of %s", azml.ErrClosed, d.machine.Name)
}

// try makes one attempt to connect after a wait.
func (d *Driver) try(a *attempt, wait time.Duration) {
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-d.life.Done():
		}
	}
	began := time.Now()
	conn, err := d.machine.Connect(d.life)
	if a.err = err; err == nil {
		a.conn = &connection{conn, began}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.attempt = nil
	switch {
	case d.closed:
		if a.err == nil {
			a.conn.Close()
		}
		a.conn, a.err = nil, d.errClosed()
	case a.err == nil:
		d.current, d.lostAt = a.conn, time.Time{}
	default:
		d.backOff()
	}
	close(a.done)
}

// backOff has the next attempt wait for twice as long as the last.
func (d *Driver) backOff() {
	const first, longest = 100 * time.Millisecond, 5 * time.Second
	d.pause = min(max(2*d.pause, first), longest)
	d.next = time.Now().Add(d.pause)
}

// lost lets go of a connection that does not work. d.mu is held.
func (d *Driver) lost(c *connection) {
	if d.current != c {
		return
	}
	d.current, d.lostAt = nil, time.Now()
	if time.Since(c.began) > 2*time.Second { // it was good for something
		d.pause = 0
	}
	d.backOff()
	d.trying.Go(c.Close)
}

// worthwhile tells whether a call should go on trying after the error. failing is
// for how long it has been failing.
func (d *Driver) worthwhile(err error, failing time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || !errors.Is(err, azml.ErrUnavailable) || failing > d.machine.Patience {
		return false
	}
	return errors.Is(err, ErrLost) || !d.lostAt.IsZero() && time.Since(d.lostAt) < d.machine.Patience
}

// do makes a call, again and again while the connection is lost and patience
// lasts. Calls are such that they can be made again.
func (d *Driver) do(ctx context.Context, call func(*Client) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var failing time.Time
	for {
		began := time.Now()
		c, err := d.connected(ctx)
		if err == nil {
			if err = call(c.Client()); !errors.Is(err, ErrLost) {
				return err
			}
			d.mu.Lock()
			d.lost(c)
			d.mu.Unlock()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if failing.IsZero() || time.Since(began) > d.machine.Patience {
			failing = time.Now()
		}
		if !d.worthwhile(err, time.Since(failing)) {
			return err
		}
	}
}

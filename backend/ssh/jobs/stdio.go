package jobs

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// stdio is a pair of pipes as a connection. It has no deadlines: pings find out
// when the other end is gone.
type stdio struct {
	in  io.Reader
	out io.Writer
	// carrier is what both end with.
	carrier io.Closer
	once    sync.Once
	closed  chan struct{}
}

// Read implements net.Conn.
func (c *stdio) Read(p []byte) (int, error) { return c.in.Read(p) }

// Write implements net.Conn.
func (c *stdio) Write(p []byte) (int, error) { return c.out.Write(p) }

// Close implements net.Conn.
func (c *stdio) Close() error {
	c.once.Do(func() {
		close(c.closed)
		_ = c.carrier.Close()
	})
	return nil
}

// LocalAddr implements net.Conn.
func (c *stdio) LocalAddr() net.Addr { return address("stdio") }

// RemoteAddr implements net.Conn.
func (c *stdio) RemoteAddr() net.Addr { return address("stdio") }

// SetDeadline implements net.Conn.
func (c *stdio) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *stdio) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (c *stdio) SetWriteDeadline(time.Time) error { return nil }

// pipes are closed as one.
type pipes struct {
	in  io.Closer
	out io.Closer
}

// Close implements io.Closer.
func (p pipes) Close() error { return errors.Join(p.in.Close(), p.out.Close()) }

// address is where something is, in words.
type address string

// Network implements net.Addr.
func (a address) Network() string { return "jobs" }

// String implements net.Addr.
func (a address) String() string { return string(a) }

// single is a listener that accepts one connection, and ends with it.
type single struct {
	conn  *stdio
	taken bool // by the one goroutine that accepts
}

// Accept implements net.Listener.
func (l *single) Accept() (net.Conn, error) {
	if !l.taken {
		l.taken = true
		return l.conn, nil
	}
	<-l.conn.closed
	return nil, io.EOF
}

// Close implements net.Listener.
func (l *single) Close() error { return l.conn.Close() }

// Addr implements net.Listener.
func (l *single) Addr() net.Addr { return l.conn.LocalAddr() }

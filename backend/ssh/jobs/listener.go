package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Listener accepts the connections that a job makes to its address.
type Listener struct {
	client  *Client
	answer  *http.Response
	lines   *json.Decoder
	address string
	ctx     context.Context // of the listener
	cancel  context.CancelFunc
}

// Listen makes the socket that the job reaches back by. The context bounds this
// call only.
func (c *Client) Listen(ctx context.Context, id string) (*Listener, error) {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	l := &Listener{client: c, ctx: inner, cancel: cancel}
	answer, err := c.ask(inner, http.MethodPost, "/listen", of(id), nil) //nolint:bodyclose // the listener closes it
	var at located
	if err == nil {
		l.answer, l.lines = answer, json.NewDecoder(answer.Body)
		err = l.lines.Decode(&at)
		if err != nil {
			err = lost(inner, err)
		}
	}
	if !stop() || err != nil {
		_ = l.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	l.address = at.Path
	return l, nil
}

// Address gives the address that the job makes connections to, such as "unix:"
// and a path.
func (l *Listener) Address() string { return l.address }

// Accept gives the next connection. Errors: net.ErrClosed, ErrLost.
func (l *Listener) Accept() (net.Conn, error) {
	var a arrived
	if err := l.lines.Decode(&a); err != nil {
		if l.ctx.Err() != nil {
			return nil, net.ErrClosed
		}
		if told := trailed(l.answer); errors.Is(err, io.EOF) && told != nil {
			return nil, told
		}
		return nil, lost(l.ctx, err)
	}
	return l.client.open(a.Connection), nil
}

// Close ends the listening; connections go on.
func (l *Listener) Close() error {
	l.cancel()
	if l.answer == nil {
		return nil
	}
	return l.answer.Body.Close()
}

// linger is how long a closed connection goes on sending what was written.
const linger = time.Minute

// conn is a connection that a job has made: two requests, one for each direction,
// behind pipes that have deadlines.
type conn struct {
	in, out net.Conn
	once    sync.Once
	closed  chan struct{}
	linger  func()
}

// open takes the connection.
func (c *Client) open(name string) net.Conn {
	in, received := net.Pipe()
	sent, out := net.Pipe()
	conn := &conn{in: in, out: out, closed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	conn.linger = func() { time.AfterFunc(linger, cancel) }
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if !c.receive(ctx, name, received) && !conn.isClosed() {
			_ = sent.Close()
		}
	}()
	go func() {
		defer cancel()
		_ = c.call(ctx, http.MethodPost, "/send", url.Values{"connection": {name}}, sent, nil) // writing fails from now on
		_ = sent.Close()
		select {
		case <-conn.closed:
		case <-ended:
		}
	}()
	return conn
}

// receive hands on what the job sends, to its end, and tells whether it got there.
// The far end of a connection lives as long as this request, so it goes on when
// nobody reads any more.
func (c *Client) receive(ctx context.Context, name string, to net.Conn) bool {
	defer to.Close()
	got, err := c.ask(ctx, http.MethodGet, "/receive", url.Values{"connection": {name}}, nil)
	if err != nil {
		return false
	}
	defer got.Body.Close()
	if _, err = io.Copy(to, got.Body); err != nil {
		_, err = io.Copy(io.Discard, got.Body)
	}
	return err == nil && trailed(got) == nil
}

func (c *conn) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) { return c.in.Read(p) }

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) { return c.out.Write(p) }

// CloseWrite ends what the job reads.
func (c *conn) CloseWrite() error { return c.out.Close() }

// Close implements net.Conn. What was written still gets there.
func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.linger()
	})
	return errors.Join(c.in.Close(), c.out.Close())
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return address("here") }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return address("job") }

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.in.SetDeadline(t), c.out.SetDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error { return c.in.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.out.SetWriteDeadline(t) }

package jobs

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Platform implements backend.Remote.
func (d *Driver) Platform(ctx context.Context) (backend.Platform, error) {
	if err := ctx.Err(); err != nil {
		return backend.Platform{}, err
	}
	c, err := d.connected(ctx)
	if err != nil {
		return backend.Platform{}, err
	}
	return c.Platform(), nil
}

// Install implements backend.Remote. A content that is there under another name
// isn't sent again. Programs that no Install asks for in 30 days are deleted.
func (d *Driver) Install(ctx context.Context, name string, program backend.Content) (path string, err error) {
	digest := ""
	err = d.do(ctx, func(c *Client) error {
		if path, err = c.Program(ctx, name, ""); !errors.Is(err, azml.ErrNotFound) {
			return err
		}
		if digest == "" {
			if digest, err = Digest(io.NewSectionReader(program, 0, program.Size())); err != nil {
				return err
			}
		}
		if path, err = c.Program(ctx, name, digest); !errors.Is(err, azml.ErrNotFound) {
			return err
		}
		path, err = c.Install(ctx, name, digest, io.NewSectionReader(program, 0, program.Size()))
		return err
	})
	return path, err
}

// ghost is how long the machine may take for a client that went without a word.
const ghost = 40 * time.Second

// Listen implements backend.Remote. The address is a socket in a folder that is
// the far user's alone, "unix:" and its path. The listener outlives a lost
// connection: it goes on when that is there again. Errors: ErrConflict while
// another listens for the job, which takes 40 seconds to be sure of.
func (d *Driver) Listen(ctx context.Context, id string) (net.Listener, string, error) {
	l := &listener{driver: d, id: id}
	l.ctx, l.cancel = context.WithCancel(d.life)
	if err := l.open(ctx); err != nil {
		l.cancel()
		return nil, "", err
	}
	return l, l.Addr().String(), nil
}

// listener listens anew after a connection was lost.
type listener struct {
	driver *Driver
	id     string
	ctx    context.Context // ends with Close, and the driver's
	cancel context.CancelFunc

	mu    sync.Mutex
	inner *Listener
}

func (l *listener) open(ctx context.Context) error {
	began := time.Now()
	for {
		err := l.driver.do(ctx, func(c *Client) error { return l.take(c.Listen(ctx, l.id)) })
		if !errors.Is(err, azml.ErrConflict) || time.Since(began) > ghost {
			return err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *listener) take(inner *Listener, err error) error {
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return errors.Join(net.ErrClosed, inner.Close())
	}
	l.inner = inner
	return nil
}

func (l *listener) current() *Listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inner
}

// Accept implements net.Listener. Errors: net.ErrClosed, azml.ErrUnavailable when
// patience has ended.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.current().Accept()
		if err == nil {
			return conn, nil
		}
		if l.ctx.Err() != nil {
			return nil, net.ErrClosed
		}
		if !errors.Is(err, ErrLost) {
			return nil, err
		}
		if err := l.open(l.ctx); err != nil {
			if l.ctx.Err() != nil {
				err = net.ErrClosed
			}
			return nil, err
		}
	}
}

// Close implements net.Listener. Connections go on.
func (l *listener) Close() error {
	l.cancel()
	return l.current().Close()
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return address(l.current().Address()) }

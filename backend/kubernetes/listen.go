package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// Listen implements backend.Remote: the program in each of the job's pods listens
// there, and what it hears goes through the API server. The listener waits for the pods,
// and outlives lost connections; it fails when the job has ended. Errors: ErrClosed.
func (d *Driver) Listen(ctx context.Context, id string) (net.Listener, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	if d.life.Err() != nil {
		return nil, "", fmt.Errorf("%w: the driver of namespace %s", azml.ErrClosed, d.cluster.namespace)
	}
	l := &listener{driver: d, id: id, conns: make(chan net.Conn), done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(d.life)
	go l.run()
	return l, "unix:" + socketFile, nil
}

// socketFile is where jobs reach back.
const socketFile = workFolder + "/" + jobs.SocketFile

// listener accepts what comes through connections to the pod, made anew when they
// are lost.
type listener struct {
	driver *Driver
	id     string
	ctx    context.Context // ends with Close, and the driver's
	cancel context.CancelFunc
	conns  chan net.Conn

	done chan struct{} // closed when err is final
	err  error
}

// run listens until the job has ended or the listener is closed.
func (l *listener) run() {
	defer close(l.done)
	defer l.cancel()
	nodes, err := l.nodes()
	if err == nil {
		var all errgroup.Group
		for n := range nodes {
			all.Go(func() error { return l.runOn(n) })
		}
		err = all.Wait()
	}
	if l.err = err; l.ctx.Err() != nil {
		l.err = net.ErrClosed
	}
}

// again has something done again, after a moment, until it gives an error.
func (l *listener) again(do func() error) error {
	for l.ctx.Err() == nil {
		if err := do(); err != nil {
			return err
		}
		const pause = 200 * time.Millisecond
		select {
		case <-time.After(pause):
		case <-l.ctx.Done():
		}
	}
	return l.ctx.Err()
}

// nodes gives the number of nodes of the job, once that is there.
func (l *listener) nodes() (n int, err error) {
	found := errors.New("found")
	err = l.again(func() error {
		v, err := l.driver.look(l.ctx, l.id)
		if n = len(v.nodes); err == nil {
			return found
		}
		return passing(err)
	})
	if errors.Is(err, found) {
		err = nil
	}
	return n, err
}

// passing gives the error unless it is of a job that is not started yet, or is seen
// later.
func passing(err error) error {
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrUnavailable) {
		return nil
	}
	return err
}

// runOn listens on a node, until its command has ended.
func (l *listener) runOn(n int) error {
	return l.again(func() error { return l.listen(n) })
}

// listen listens through one connection, to its end. An error is one that stays.
func (l *listener) listen(n int) error {
	var client *jobs.Client
	var inner *jobs.Listener
	early := starting{driver: l.driver}
	err := l.driver.follow(l.ctx, l.id, func(v view) (bool, error) {
		if v.nodes[n].ended() {
			return false, fmt.Errorf("%w: job %q has ended", azml.ErrClosed, l.id)
		}
		return early.do(l.ctx, v, n, func() (err error) {
			client, inner, err = l.open(v.nodes[n].pod.Name)
			return err
		})
	})
	if err != nil {
		return passing(err)
	}
	stop := context.AfterFunc(l.ctx, func() { _ = inner.Close() })
	accepting, accepted := context.WithCancel(l.ctx)
	adopted := make(chan struct{})
	go func() {
		defer close(adopted)
		l.driver.adopt(accepting, l.id)
	}()
	l.accept(inner)
	accepted()
	<-adopted
	_ = inner.Close()
	if stop() { // the connection was lost
		_ = client.Close()
		return nil
	}
	context.AfterFunc(l.driver.life, func() { _ = client.Close() }) // connections go on
	return nil
}

// open listens in a pod. Errors: ErrUnavailable, also while somebody else does: the
// next look finds out what is wrong.
func (l *listener) open(pod string) (*jobs.Client, *jobs.Listener, error) {
	client, closing := l.driver.handed(l.ctx, l.id)
	if client == nil {
		var err error
		client, err = l.driver.connect(l.ctx, func(living context.Context) (*jobs.Client, error) { return l.driver.serve(living, pod) })
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
		}
		closing = func() { _ = client.Close() }
	}
	inner, err := client.Listen(l.ctx, l.id)
	if err != nil {
		closing()
		return nil, nil, fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	return client, inner, nil
}

// accept hands on connections until there are no more.
func (l *listener) accept(inner *jobs.Listener) {
	for {
		conn, err := inner.Accept()
		if err != nil {
			return
		}
		select {
		case l.conns <- conn:
		case <-l.ctx.Done():
			_ = conn.Close()
			return
		}
	}
}

// Accept implements net.Listener. Errors: net.ErrClosed, azml.ErrClosed when the job
// has ended.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, l.err
	}
}

// Close implements net.Listener. Connections go on.
func (l *listener) Close() error {
	l.cancel()
	<-l.done
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: socketFile} }

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// Listen implements backend.Remote: the program in the job's pod listens there, and
// what it hears goes through the API server. The listener waits for the pod, and
// outlives lost connections; it fails when the job has ended. Errors: ErrClosed.
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
	for l.ctx.Err() == nil {
		if l.err = l.listen(); l.err != nil {
			return
		}
		const pause = 200 * time.Millisecond
		select {
		case <-time.After(pause):
		case <-l.ctx.Done():
		}
	}
	l.err = net.ErrClosed
}

// listen listens through one connection, to its end. An error is one that stays.
func (l *listener) listen() error {
	pod := ""
	err := l.driver.follow(l.ctx, l.id, func(v view) (bool, error) {
		if v.ended() {
			return false, fmt.Errorf("%w: job %q has ended", azml.ErrClosed, l.id)
		}
		if v.container().State.Running == nil {
			return false, nil
		}
		pod = v.pod.Name
		return true, nil
	})
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrUnavailable) { // it is not started yet, or seen later
		return nil
	}
	if err != nil {
		return err
	}
	client, err := l.connect(pod)
	if err != nil {
		return nil //nolint:nilerr // the next look finds out what is wrong
	}
	inner, err := client.Listen(l.ctx, l.id)
	if err != nil {
		_ = client.Close()
		return nil //nolint:nilerr // as above; somebody else may listen
	}
	stop := context.AfterFunc(l.ctx, func() { _ = inner.Close() })
	l.accept(inner)
	_ = inner.Close()
	if stop() { // the connection was lost
		_ = client.Close()
		return nil
	}
	context.AfterFunc(l.driver.life, func() { _ = client.Close() }) // connections go on
	return nil
}

// connect connects to the pod for as long as the driver lives, unless the listener is
// closed before it has: a pod that is just ending may never answer.
func (l *listener) connect(pod string) (*jobs.Client, error) {
	living, cancel := context.WithCancel(l.driver.life)
	stop := context.AfterFunc(l.ctx, cancel)
	client, err := l.driver.serve(living, pod)
	if !stop() && err == nil {
		err = errors.Join(net.ErrClosed, client.Close())
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return client, nil
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

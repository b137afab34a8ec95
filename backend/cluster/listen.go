package cluster

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/azml-go/azml"
)

// Listen implements backend.Remote: it listens on all nodes, and Start tells each
// its address.
func (c *Cluster) Listen(ctx context.Context, id string) (net.Listener, string, error) {
	m := &merged{conns: make(chan accepted), closed: make(chan struct{})}
	var addresses []string
	for n, node := range c.nodesOf(id) {
		l, address, err := node.Listen(ctx, JobID(id, n))
		if err != nil {
			return nil, "", errors.Join(onNode(n, err), m.Close())
		}
		m.listeners = append(m.listeners, l)
		addresses = append(addresses, address)
	}
	m.left.Store(int64(len(m.listeners)))
	for _, l := range m.listeners {
		m.all.Go(func() { m.accept(l) })
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.gateways, id)
	if slices.ContainsFunc(addresses, func(a string) bool { return a != addresses[0] }) {
		c.gateways[id] = addresses
	}
	return m, addresses[0], nil
}

// accepted is what a listener gave.
type accepted struct {
	conn net.Conn
	err  error
}

// merged is a listener of all nodes. It fails when one of them does, but goes on without
// those whose nodes are done with the job, until all are.
type merged struct {
	listeners []net.Listener
	left      atomic.Int64 // that are not done
	conns     chan accepted
	all       sync.WaitGroup
	once      sync.Once
	closed    chan struct{}
}

func (m *merged) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, azml.ErrClosed) && m.left.Add(-1) > 0 {
			return
		}
		select {
		case m.conns <- accepted{conn, err}:
		case <-m.closed:
			if conn != nil {
				_ = conn.Close()
			}
			return
		}
		if err != nil {
			return
		}
	}
}

// Accept implements net.Listener.
func (m *merged) Accept() (net.Conn, error) {
	select {
	case a := <-m.conns:
		return a.conn, a.err
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (m *merged) Close() error {
	var err error
	m.once.Do(func() {
		close(m.closed)
		for _, l := range m.listeners {
			err = errors.Join(err, l.Close())
		}
		m.all.Wait()
	})
	return err
}

// Addr implements net.Listener.
func (m *merged) Addr() net.Addr { return m.listeners[0].Addr() }

package faultproxy

import (
	"errors"
	"io"
	"net"
	"sync"
)

// Wire is a TCP proxy whose connections can be cut, and which can stand for a
// network that is gone. It is safe for concurrent use.
type Wire struct {
	listener net.Listener

	mu       sync.Mutex
	upstream string
	moving   sync.Cond // told when silent or conns change
	silent   bool
	conns    map[net.Conn]bool
	done     sync.WaitGroup
}

// StartWire starts a proxy to the address on a free port of this machine. Close it.
func StartWire(upstream string) (*Wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &Wire{upstream: upstream, listener: l, conns: map[net.Conn]bool{}}
	w.moving.L = &w.mu
	w.done.Go(w.serve)
	return w, nil
}

// Port is the port that clients connect to.
func (w *Wire) Port() int { return w.listener.Addr().(*net.TCPAddr).Port }

// Cut resets all connections. New ones can be made.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		sever(c)
	}
	w.moving.Broadcast()
}

// Redirect has new connections go to another address.
func (w *Wire) Redirect(upstream string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.upstream = upstream
}

// Silence has nothing get through until Heal: neither bytes nor ends, which
// neither side learns of. What was sent meanwhile gets through then.
func (w *Wire) Silence() { w.setSilent(true) }

// Heal ends a silence.
func (w *Wire) Heal() { w.setSilent(false) }

func (w *Wire) setSilent(silent bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent = silent
	w.moving.Broadcast()
}

// Close ends the proxy and its connections.
func (w *Wire) Close() {
	_ = w.listener.Close()
	w.Heal()
	w.Cut()
	w.done.Wait()
}

func (w *Wire) serve() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.done.Go(func() {
			far, err := net.Dial("tcp", w.wait())
			if err != nil {
				sever(near)
				return
			}
			w.keep(near, far)
			var both sync.WaitGroup
			both.Go(func() { w.carry(near, far) })
			both.Go(func() { w.carry(far, near) })
			both.Wait()
			w.drop(near, far)
		})
	}
}

func (w *Wire) keep(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		w.conns[c] = true
	}
}

func (w *Wire) drop(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(w.conns, c)
	}
}

// wait waits while nothing gets through, and tells where connections go.
func (w *Wire) wait() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.silent {
		w.moving.Wait()
	}
	return w.upstream
}

// carry carries one direction to its end.
func (w *Wire) carry(from, to net.Conn) {
	for buf := make([]byte, 64<<10); ; {
		n, err := from.Read(buf)
		w.wait()
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		if errors.Is(err, io.EOF) {
			_ = to.(*net.TCPConn).CloseWrite()
			return
		}
		if err != nil {
			sever(from)
			sever(to)
			return
		}
	}
}

// sever resets a connection.
func sever(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

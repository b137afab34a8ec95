package jobs

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// unclaimed is how long a connection waits for the client to take it.
const unclaimed = time.Minute

// reach is the connections that jobs have made, which the client takes one by one.
type reach struct {
	mu    sync.Mutex
	conns map[string]*reached
}

// half is a connection of which one direction can be ended.
type half interface {
	net.Conn
	// CloseWrite ends what the other end reads.
	CloseWrite() error
}

// reached is a connection that a job has made.
type reached struct {
	half
	// listener is who has accepted it.
	listener net.Listener
	// taken tells whether the client has taken it.
	taken bool
	// open counts the directions that have not ended.
	open int
	// expiry closes a connection that the client does not take.
	expiry *time.Timer
}

// close closes all connections.
func (r *reach) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, c := range r.conns {
		r.drop(name, c)
	}
}

// keep has a connection wait for the client, for a time.
func (r *reach) keep(l net.Listener, conn half) (name string) {
	name = rand.Text()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[name] = &reached{half: conn, listener: l, open: 2, expiry: time.AfterFunc(unclaimed, func() { r.end(name, 2) })}
	return name
}

// leave closes what the listener has accepted and the client has not taken: the
// job is to connect to whoever listens next.
func (r *reach) leave(l net.Listener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, c := range r.conns {
		if c.listener == l && !c.taken {
			r.drop(name, c)
		}
	}
}

// take gives one direction of the connection to the client. end ends it.
func (r *reach) take(name string) (half, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.conns[name]
	if c == nil {
		return nil, fmt.Errorf("%w: connection %q is gone", azml.ErrNotFound, name)
	}
	c.taken = true
	c.expiry.Stop()
	return c.half, nil
}

// end ends so many directions of the connection, which is closed when none is left.
func (r *reach) end(name string, directions int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.conns[name]
	if c == nil {
		return
	}
	if c.open -= directions; c.open <= 0 {
		r.drop(name, c)
	}
}

// drop closes the connection. r.mu is held.
func (r *reach) drop(name string, c *reached) {
	c.expiry.Stop()
	_ = c.Close() // the job may have gone
	delete(r.conns, name)
}

// listen says the address of the job's socket, and then the name of each
// connection, until the client or the connection to it is gone.
func (s *server) listen(w *answer, r *http.Request) error {
	remote, ok := backend.As[backend.Remote](s.driver)
	if !ok {
		return fmt.Errorf("%w: jobs of this system can't reach back", azml.ErrUnsupported)
	}
	l, at, err := remote.Listen(r.Context(), id(r))
	if err != nil {
		return err
	}
	defer s.reach.leave(l)
	defer l.Close()
	defer context.AfterFunc(r.Context(), func() { _ = l.Close() })()
	if err := w.say(located{at}); err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return classify(err)
		}
		name := s.reach.keep(l, conn.(half)) // as those of sockets are
		if err := w.say(arrived{name}); err != nil {
			return err
		}
	}
}

// receive gives the client what the job sends.
func (s *server) receive(w *answer, r *http.Request) error {
	name := r.URL.Query().Get("connection")
	conn, err := s.reach.take(name)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(r.Context(), func() { s.reach.end(name, 2) })
	err = w.stream(conn)
	if stop() {
		s.reach.end(name, directions(err))
	}
	return err
}

// send gives the job what the client sends.
func (s *server) send(_ *answer, r *http.Request) error {
	name := r.URL.Query().Get("connection")
	conn, err := s.reach.take(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(conn, r.Body)
	if err == nil {
		err = conn.CloseWrite()
	}
	s.reach.end(name, directions(err))
	if err != nil {
		return classify(err)
	}
	return nil
}

// directions tells how many directions of a connection one has ended that ended
// so: nothing comes back from where nothing could be sent.
func directions(err error) int {
	if err != nil {
		return 2
	}
	return 1
}

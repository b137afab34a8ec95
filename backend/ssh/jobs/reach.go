package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/azml-go/azml"
)

const (
	// maxSocketPath is what any system takes as the path of a socket.
	maxSocketPath = 103
	// unclaimed is how long a connection waits for the client to take it.
	unclaimed = time.Minute
)

// reach is how jobs reach back: each has a socket, whose connections the client
// takes one by one. Sockets are in a folder of the user's alone.
//
// Who listens last has the socket: it takes the place of the one before under
// its name. So nobody waits for a listener whose client went without a word.
type reach struct {
	link  string
	root  string
	locks locks

	mu    sync.Mutex
	conns map[string]*reached
}

// reached is a connection that a job has made.
type reached struct {
	*net.UnixConn
	// open counts the directions that have not ended.
	open int
	// expiry closes a connection that the client does not take.
	expiry *time.Timer
}

func newReach(root string, locks locks) *reach {
	return &reach{link: filepath.Join(root, "reach"), root: root, locks: locks, conns: map[string]*reached{}}
}

// folder gives the folder of the sockets: in the root, or where paths are short
// enough. The link remembers it.
func (r *reach) folder(ctx context.Context) (string, error) {
	unlock, err := r.locks.take(ctx, "")
	if err != nil {
		return "", err
	}
	defer unlock()
	if dir, err := os.Readlink(r.link); err == nil {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir, nil
		}
		if err := os.Remove(r.link); err != nil {
			return "", classify(err)
		}
	}
	dir := filepath.Join(r.root, "sockets")
	if len(dir) > maxSocketPath-60 {
		dir, err = os.MkdirTemp("", "azml-")
	} else {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.Symlink(dir, r.link)
	}
	if err != nil {
		return "", classify(err)
	}
	return dir, nil
}

// open makes the socket of the job.
func (r *reach) open(ctx context.Context, id string) (*net.UnixListener, string, error) {
	dir, err := r.folder(ctx)
	if err != nil {
		return nil, "", err
	}
	path := filepath.Join(dir, digestOf(id))
	if len(path) > maxSocketPath-20 {
		return nil, "", fmt.Errorf("%w: the path of the socket %s is too long; set TMPDIR to a shorter folder there", azml.ErrInvalid, path)
	}
	temporary := path + "." + rand.Text()[:12]
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, "", classify(err)
	}
	l.SetUnlinkOnClose(false)
	if err := os.Rename(temporary, path); err != nil {
		return nil, "", errors.Join(classify(err), l.Close(), os.Remove(temporary))
	}
	return l, path, nil
}

// forget deletes the socket of the job.
func (r *reach) forget(id string) error {
	err := os.Remove(filepath.Join(r.link, digestOf(id)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// close closes all connections.
func (r *reach) close() {
	r.mu.Lock()
	names := slices.Collect(maps.Keys(r.conns))
	r.mu.Unlock()
	for _, name := range names {
		r.end(name, 2)
	}
}

// keep has a connection wait for the client, for a time.
func (r *reach) keep(conn *net.UnixConn) (name string) {
	name = rand.Text()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[name] = &reached{UnixConn: conn, open: 2, expiry: time.AfterFunc(unclaimed, func() { r.end(name, 2) })}
	return name
}

// take gives one direction of the connection to the client. end ends it.
func (r *reach) take(name string) (*net.UnixConn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.conns[name]
	if c == nil {
		return nil, fmt.Errorf("%w: connection %q is gone", azml.ErrNotFound, name)
	}
	c.expiry.Stop()
	return c.UnixConn, nil
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
		c.expiry.Stop()
		_ = c.Close() // the job may have gone
		delete(r.conns, name)
	}
}

// listen says the address of the job's socket, and then the name of each
// connection, until the client or the connection to it is gone.
func (s *server) listen(w *answer, r *http.Request) error {
	if _, err := s.driver.Status(r.Context(), id(r)); errors.Is(err, azml.ErrInvalid) {
		return err
	}
	l, path, err := s.reach.open(r.Context(), id(r))
	if err != nil {
		return err
	}
	defer l.Close()
	defer context.AfterFunc(r.Context(), func() { _ = l.Close() })()
	if err := w.say(located{"unix:" + path}); err != nil {
		return err
	}
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return classify(err)
		}
		name := s.reach.keep(conn)
		if err := w.say(arrived{name}); err != nil {
			s.reach.end(name, 2)
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

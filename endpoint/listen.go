package endpoint

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/azml-go/azml/internal/scoring"
)

// pace is how slow a client may be before its connection is cut off, so that those
// who send or take nothing keep neither memory nor replicas.
type pace struct {
	header time.Duration // for a request's header, from the first byte on
	body   time.Duration // for header and body
	idle   time.Duration // between requests
	// piece bounds how long a client may take for 256 KiB of an answer, or for what
	// is left of it.
	piece time.Duration
}

func defaultPace() pace {
	return pace{header: 10 * time.Second, body: 5 * time.Minute, idle: 2 * time.Minute, piece: 30 * time.Second}
}

const pieceBytes = 256 << 10

// newServer makes the server of a handler.
func newServer(handler http.Handler, p pace) *http.Server {
	return &http.Server{Handler: paceStreams(handler, p.piece), ConnContext: withHeads,
		ReadHeaderTimeout: p.header, ReadTimeout: p.body, IdleTimeout: p.idle, MaxHeaderBytes: 64 << 10}
}

// pacing is a listener whose connections are cut off by the pace.
type pacing struct {
	net.Listener
	pace pace
}

// Accept gives the next connection.
func (l pacing) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &paced{Conn: connection, piece: l.pace.piece}, nil
}

// paced is a connection whose deadlines cost little: net/http sets six of them for each
// request, most of which nothing ever waits for.
type paced struct {
	net.Conn
	piece time.Duration
	until atomic.Int64 // the deadline for writing that is set, in Unix nanoseconds; 0 when that is not known
	reads readDeadline
	wrote atomic.Bool // since the last read
	lines []byte      // of headers, for the answer that is written next
	whole []byte      // the last piece that was written with such lines
}

// withHeads gives handlers the connection; what TLS encrypts can have no lines added.
func withHeads(ctx context.Context, connection net.Conn) context.Context {
	if c, is := connection.(*paced); is {
		return scoring.WithHeads(ctx, c)
	}
	return ctx
}

// AddHeader adds a header to the answer that is written next.
func (c *paced) AddHeader(name, value string) {
	c.lines = append(append(append(append(c.lines, name...), ": "...), value...), "\r\n"...)
}

// Read reads until the deadline. Who has just got an answer has hardly asked again: others
// go first, so that the next request is mostly there, where a read at once would find
// nothing and have to be woken.
func (c *paced) Read(p []byte) (int, error) {
	for again := false; ; again = true {
		if err := c.reads.begin(c.Conn, again); err != nil {
			return 0, err
		}
		if c.wrote.CompareAndSwap(true, false) {
			runtime.Gosched()
		}
		n, err := c.Conn.Read(p)
		c.reads.end()
		if n > 0 || err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
}

// Write writes piece by piece, each within its time.
func (c *paced) Write(p []byte) (int, error) {
	defer c.wrote.Store(true)
	if len(c.lines) == 0 || interim(p) {
		return inPieces(p, c.piece, c.setDeadline, c.Conn.Write)
	}
	status := bytes.IndexByte(p, '\n') + 1
	c.whole = append(append(append(c.whole[:0], p[:status]...), c.lines...), p[status:]...)
	added := len(c.lines)
	c.lines = c.lines[:0]
	n, err := inPieces(c.whole, c.piece, c.setDeadline, c.Conn.Write)
	return max(0, n-added), err
}

// interim tells whether p, the beginning of an answer, is one that another follows, such
// as 100 Continue.
func interim(p []byte) bool {
	const version = "HTTP/1.1 "
	return len(p) > len(version) && p[len(version)] == '1'
}

// setDeadline sets a deadline, unless one that is set is not much earlier: most answers
// are written at once.
func (c *paced) setDeadline(t time.Time) error {
	if t.UnixNano()-c.until.Load() < int64(c.piece/4) {
		return nil
	}
	c.until.Store(t.UnixNano())
	return c.Conn.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline of what is being read and of what is read next.
func (c *paced) SetReadDeadline(t time.Time) error { return c.reads.set(c.Conn, t) }

// SetWriteDeadline sets another deadline, as TLS does when it has greeted. To take away
// one that Write has set, as net/http does after each request, is not needed: the next
// Write has its own.
func (c *paced) SetWriteDeadline(t time.Time) error {
	if t.IsZero() && c.until.Load() != 0 {
		return nil
	}
	c.until.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline sets both, as SetReadDeadline and SetWriteDeadline do.
func (c *paced) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// readDeadline is the deadline for reading from a connection, which the connection gets
// only while something reads, and only if the one that it has is not earlier: who is
// woken too early reads on. The clock is looked at only by who is woken, or gives another.
type readDeadline struct {
	mu      sync.Mutex
	want    time.Time // zero for none
	has     time.Time // of the connection
	seen    time.Time // on the clock, when it was looked at last
	reading int
}

// begin gives the connection the deadline, since something reads from now on; again, for
// it was woken by a deadline. Errors: os.ErrDeadlineExceeded when it is over.
func (d *readDeadline) begin(conn net.Conn, again bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !again && (d.want.IsZero() || d.hasEarlier()) {
		d.reading++
		return nil
	}
	if !d.want.IsZero() && d.over() {
		return os.ErrDeadlineExceeded
	}
	if err := d.give(conn); err != nil {
		return err
	}
	d.reading++
	return nil
}

// hasEarlier tells whether the connection has a deadline that is not later than the wanted
// one, whether or not it is over. The caller holds the lock, as of all that follow.
func (d *readDeadline) hasEarlier() bool {
	return !d.has.IsZero() && (d.want.IsZero() || !d.has.After(d.want))
}

// over tells whether the wanted deadline is.
func (d *readDeadline) over() bool {
	if d.want.After(d.seen) {
		d.seen = time.Now()
	}
	return !d.want.After(d.seen)
}

// end says that nothing reads any more.
func (d *readDeadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reading--
}

func (d *readDeadline) set(conn net.Conn, t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.want = t
	if d.reading == 0 {
		return nil
	}
	return d.give(conn)
}

// give sets the connection's deadline, unless one is yet to come that is not later.
func (d *readDeadline) give(conn net.Conn) error {
	if d.hasEarlier() {
		if d.seen = time.Now(); d.seen.Before(d.has) {
			return nil
		}
	}
	d.has = d.want
	return conn.SetReadDeadline(d.want)
}

func inPieces(p []byte, each time.Duration, until func(time.Time) error, write func([]byte) (int, error)) (written int, err error) {
	for {
		if err := until(time.Now().Add(each)); err != nil {
			return written, err
		}
		n, err := write(p[:min(len(p), pieceBytes)])
		written += n
		if p = p[n:]; err != nil || len(p) == 0 {
			return written, err
		}
	}
}

// paceStreams cuts off the streams of HTTP/2 whose client takes nothing, while the
// connection that they share goes on.
func paceStreams(next http.Handler, piece time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor > 1 {
			w = pacedStream{w, piece}
		}
		next.ServeHTTP(w, r)
	})
}

type pacedStream struct {
	http.ResponseWriter
	piece time.Duration
}

// Unwrap lets http.ResponseController find the real writer.
func (s pacedStream) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// Write writes piece by piece, each within its time.
func (s pacedStream) Write(p []byte) (int, error) {
	control := http.NewResponseController(s.ResponseWriter)
	return inPieces(p, s.piece, control.SetWriteDeadline, s.ResponseWriter.Write)
}

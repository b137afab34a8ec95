package endpoint

import (
	"net"
	"net/http"
	"sync/atomic"
	"time"
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
	return &http.Server{Handler: paceStreams(handler, p.piece), ReadHeaderTimeout: p.header, ReadTimeout: p.body, IdleTimeout: p.idle, MaxHeaderBytes: 64 << 10}
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

type paced struct {
	net.Conn
	piece time.Duration
	until atomic.Int64 // the deadline that is set, in Unix nanoseconds; 0 when that is not known
}

// Write writes piece by piece, each within its time.
func (c *paced) Write(p []byte) (int, error) {
	return inPieces(p, c.piece, c.setDeadline, c.Conn.Write)
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

// SetWriteDeadline sets another deadline, as net/http does after each request and TLS
// when it has greeted.
func (c *paced) SetWriteDeadline(t time.Time) error {
	c.until.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline sets another deadline, as SetWriteDeadline does.
func (c *paced) SetDeadline(t time.Time) error {
	c.until.Store(0)
	return c.Conn.SetDeadline(t)
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

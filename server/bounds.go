package server

import (
	"io"
	"net/http"
	"time"
)

// limits bound what a client can take of the server.
type limits struct {
	// connections is how many there are at once; more wait to be accepted.
	connections int
	// headerBytes bounds the request line with the headers.
	headerBytes int
	// header is the time for them.
	header time.Duration
	// idle is how long a connection may wait for its next request.
	idle time.Duration
	// body is the time for a body of no length, and bodyRate the bytes a second
	// that lengthen it.
	body     time.Duration
	bodyRate int64
	// write is the time that a client has to take one piece of an answer.
	write time.Duration
	// grace is the time that requests have to end when the server does.
	grace time.Duration
}

var defaultLimits = limits{connections: 4096, headerBytes: 32 << 10, header: 10 * time.Second, idle: 2 * time.Minute,
	body: 30 * time.Second, bodyRate: 4 << 10, write: 30 * time.Second, grace: 10 * time.Second}

// bound gives the request's body and its answer their time. Timeouts of
// http.Server are for whole requests, and would cut off long uploads and
// downloads that go well.
func (s *Server) bound(w http.ResponseWriter, r *http.Request, begun time.Time) *answer {
	control := http.NewResponseController(w)
	a := &answer{ResponseWriter: w, control: control, limit: s.limits.write}
	if r.Body != nil && r.Body != http.NoBody {
		b := &body{ReadCloser: r.Body, control: control, begun: begun, limits: &s.limits}
		b.extend()
		r.Body = b
	}
	return a
}

// body is a request's body that must come in with a least speed. What the
// handler leaves unread, net/http reads under the last deadline.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	begun   time.Time
	read    int64
	limits  *limits
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if err == io.EOF {
		// A deadline that passes later would end the request: from here on the
		// connection is read for its end.
		_ = b.control.SetReadDeadline(time.Time{}) // without a connection there is none
		return n, err
	}
	b.extend()
	return n, err
}

func (b *body) extend() {
	extra := time.Duration(float64(b.read) / float64(b.limits.bodyRate) * float64(time.Second))
	_ = b.control.SetReadDeadline(b.begun.Add(b.limits.body + extra)) // without a connection there is none
}

// answer is the answer to a request: each piece of it has its time, and what was
// answered is known to the log.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
	status  int
	written int64
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	a.extend()
	n, err := a.ResponseWriter.Write(p)
	a.written += int64(n)
	return n, err
}

// extend gives the next piece, or what is left in buffers, its time.
func (a *answer) extend() {
	_ = a.control.SetWriteDeadline(time.Now().Add(a.limit)) // without a connection there is none
}

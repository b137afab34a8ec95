// Package guard keeps a server of MLflow clients from those that take too much of
// it, and from browsers that a stranger has led there.
package guard

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Limits bound what a client can take of a server.
type Limits struct {
	// Connections is how many there are at once; more wait to be accepted.
	Connections int
	// HeaderBytes bounds the request line with the headers.
	HeaderBytes int
	// Header is the time for them.
	Header time.Duration
	// Idle is how long a connection may wait for its next request.
	Idle time.Duration
	// Body is the time for a body of no length.
	Body time.Duration
	// BodyRate is how many bytes of a body lengthen its time by a second.
	BodyRate int64
	// Write is the time that a client has to take one piece of an answer.
	Write time.Duration
	// Grace is the time that requests have to end when the server does.
	Grace time.Duration
}

// DefaultLimits gives the limits of every server.
func DefaultLimits() Limits {
	return Limits{Connections: 4096, HeaderBytes: 32 << 10, Header: 10 * time.Second, Idle: 2 * time.Minute,
		Body: 30 * time.Second, BodyRate: 4 << 10, Write: 30 * time.Second, Grace: 10 * time.Second}
}

// Listener bounds the connections of a listener.
func (l *Limits) Listener(of net.Listener) net.Listener {
	return netutil.LimitListener(of, l.Connections)
}

// Server makes the server of a handler that gives each of its requests the time
// of Bound. What clients do wrong is a debug message.
func (l *Limits) Server(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: l.Header, IdleTimeout: l.Idle, MaxHeaderBytes: l.HeaderBytes,
		DisableGeneralOptionsHandler: true, // OPTIONS * needs a token, too
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Bound gives the request's body and its answer their time. The caller extends the
// answer when it is done. Timeouts of http.Server are for whole requests, and would
// cut off long uploads and downloads that go well.
func (l *Limits) Bound(w http.ResponseWriter, r *http.Request, begun time.Time) *Answer {
	control := http.NewResponseController(w)
	a := &Answer{ResponseWriter: w, control: control, limit: l.Write}
	if r.Body != nil && r.Body != http.NoBody {
		b := &body{ReadCloser: r.Body, control: control, begun: begun, limits: l}
		b.extend()
		r.Body = b
	}
	return a
}

// Handler bounds each request to the handler, and turns away browsers that a
// stranger has led here.
func (l *Limits) Handler(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := l.Bound(w, r, time.Now())
		defer a.Extend()
		if !(Callers{}).TurnAway(a, r) {
			handler.ServeHTTP(a, r)
		}
	})
}

// body is a request's body that must come in with a least speed. What the
// handler leaves unread, net/http reads under the last deadline.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	begun   time.Time
	read    int64
	limits  *Limits
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
	extra := time.Duration(float64(b.read) / float64(b.limits.BodyRate) * float64(time.Second))
	_ = b.control.SetReadDeadline(b.begun.Add(b.limits.Body + extra)) // without a connection there is none
}

// Answer is the answer to a request: each piece of it has its time.
type Answer struct {
	http.ResponseWriter
	// Status is the status that was answered, 0 before there is one.
	Status int
	// Written is how many bytes of a body were answered.
	Written int64

	control *http.ResponseController
	limit   time.Duration
}

// Unwrap is for http.ResponseController.
func (a *Answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *Answer) WriteHeader(status int) {
	if a.Status == 0 && status >= http.StatusOK {
		a.Status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *Answer) Write(p []byte) (int, error) {
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	a.Extend()
	n, err := a.ResponseWriter.Write(p)
	a.Written += int64(n)
	return n, err
}

// Extend gives the next piece, or what is left in buffers, its time.
func (a *Answer) Extend() {
	_ = a.control.SetWriteDeadline(time.Now().Add(a.limit)) // without a connection there is none
}

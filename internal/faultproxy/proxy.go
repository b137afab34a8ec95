// Package faultproxy is an HTTP proxy that goes wrong on purpose, before and
// after the server behind it has acted, for tests of what clients of real
// servers do then.
package faultproxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"time"
)

// Plan says what goes wrong, each as the part of requests from 0 to 1. A request
// suffers one thing at most.
type Plan struct {
	// Seed makes the choice.
	Seed uint64
	// Drop leaves the client without an answer until it gives up; half of these
	// requests reach the server.
	Drop float64
	// Delay holds the request up, by a random time up to MaxDelay.
	Delay float64
	// Duplicate sends the request to the server twice and gives the second
	// answer.
	Duplicate float64
	// Truncate cuts something off: the request, or the answer.
	Truncate float64
	// Reset resets the connection; half of these requests reach the server.
	Reset float64
	// MaxDelay is the longest delay.
	MaxDelay time.Duration
}

// Counts are the numbers of requests that suffered something.
type Counts struct {
	// Requests is the number of all requests.
	Requests int
	// Dropped, Delayed, Duplicated, Truncated and Reset count by what happened.
	Dropped, Delayed, Duplicated, Truncated, Reset int
	// Lost is the number of those whose answer was lost after the server had
	// acted.
	Lost int
}

// Proxy is a running proxy. It is safe for concurrent use.
type Proxy struct {
	upstream  *url.URL
	server    *httptest.Server
	transport *http.Transport
	stop      chan struct{}

	mu     sync.Mutex
	plan   Plan
	rnd    *rand.Rand
	counts Counts
}

// Start starts a proxy to the server at the URL, by http on a free port of this
// machine. Close it.
func Start(upstream string, plan Plan) (*Proxy, error) {
	u, err := url.Parse(upstream)
	if err != nil {
		return nil, err
	}
	p := &Proxy{upstream: u, transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}, stop: make(chan struct{}),
		plan: plan, rnd: rand.New(rand.NewPCG(plan.Seed, 0))} //nolint:gosec // faults that can be had again
	p.server = httptest.NewServer(p)
	return p, nil
}

// URL is where clients find the server: its URL with the proxy's host.
func (p *Proxy) URL() string { return p.server.URL + p.upstream.Path }

// Counts tells what has happened so far.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

// Close ends the proxy and the requests it holds back.
func (p *Proxy) Close() {
	close(p.stop)
	p.server.CloseClientConnections()
	p.server.Close()
	p.transport.CloseIdleConnections()
}

// fault is what happens to a request.
type fault int

const (
	none fault = iota
	drop
	delay
	duplicate
	truncate
	reset
)

// choose draws what happens to the next request, and whether after the server
// has acted, and a number from 0 to 1 for how much of it.
func (p *Proxy) choose() (f fault, after bool, part float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.Requests++
	after, part = p.rnd.IntN(2) == 0, p.rnd.Float64()
	draw := p.rnd.Float64()
	for _, c := range []struct {
		fault fault
		part  float64
		count *int
	}{{drop, p.plan.Drop, &p.counts.Dropped}, {delay, p.plan.Delay, &p.counts.Delayed}, {duplicate, p.plan.Duplicate, &p.counts.Duplicated},
		{truncate, p.plan.Truncate, &p.counts.Truncated}, {reset, p.plan.Reset, &p.counts.Reset}} {
		if draw -= c.part; draw < 0 {
			*c.count++
			if after && (c.fault == drop || c.fault == truncate || c.fault == reset) {
				p.counts.Lost++
			}
			return c.fault, after, part
		}
	}
	return none, after, part
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
	f, after, part := p.choose()
	switch {
	case f == delay:
		p.wait(r.Context(), time.Duration(part*float64(p.plan.MaxDelay)))
	case f == drop && !after:
		p.hold(r.Context())
	case f == reset && !after:
		cut(w)
	case f == truncate && !after:
		p.sendPart(r, body, part)
		cut(w)
	}
	answer, err := p.send(r, body)
	if err == nil && f == duplicate {
		answer, err = p.send(r, body)
	}
	if err != nil || f == reset {
		cut(w)
	}
	if f == drop {
		p.hold(r.Context())
	}
	for name, values := range answer.header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.status)
	if f == truncate {
		answer.body = answer.body[:int(part*float64(len(answer.body)))]
	}
	_, _ = w.Write(answer.body) // the client may be gone
	if f == truncate {
		_ = http.NewResponseController(w).Flush() // the connection is cut anyway
		cut(w)
	}
}

// wait waits, or until the client is gone or the proxy ends.
func (p *Proxy) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-p.stop:
	}
}

// hold keeps the client waiting until it gives up.
func (p *Proxy) hold(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-p.stop:
	}
	panic(http.ErrAbortHandler)
}

// cut resets the connection.
func cut(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset instead of an end
		}
		_ = conn.Close()
	}
	panic(http.ErrAbortHandler)
}

// request makes the request to the server.
func (p *Proxy) request(r *http.Request, body io.Reader, size int) *http.Request {
	to := *r.URL
	to.Scheme, to.Host = p.upstream.Scheme, p.upstream.Host
	out := &http.Request{Method: r.Method, URL: &to, Header: r.Header, Host: r.Host, Body: io.NopCloser(body), ContentLength: int64(size)}
	if size == 0 {
		out.Body = http.NoBody
	}
	return out
}

// answer is what the server has said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send gives the server's answer. The client may be gone meanwhile.
func (p *Proxy) send(r *http.Request, body []byte) (answer, error) {
	got, err := p.transport.RoundTrip(p.request(r, bytes.NewReader(body), len(body)))
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close()
	content, err := io.ReadAll(got.Body)
	return answer{got.StatusCode, got.Header, content}, err
}

// errCut ends a body before its end.
var errCut = errors.New("cut off")

// sendPart begins a request to the server and does not end it.
func (p *Proxy) sendPart(r *http.Request, body []byte, part float64) {
	if len(body) == 0 {
		return
	}
	some := io.MultiReader(bytes.NewReader(body[:int(part*float64(len(body)))]), failing{})
	if answer, err := p.transport.RoundTrip(p.request(r, some, len(body))); err == nil { // the server has answered early
		_ = answer.Body.Close()
	}
}

// failing is the reader of what is not sent.
type failing struct{}

// Read implements io.Reader.
func (failing) Read([]byte) (int, error) { return 0, errCut }

package scoring

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

// InferenceServer is the package, and the name, of Azure ML's own server of scoring
// scripts.
const InferenceServer = "azureml-inference-server-http"

// listen opens a port of the loopback interface for an InferenceServer, which gets it
// as descriptor 3: it would listen on a port that another may have taken meanwhile, and
// on all interfaces. The caller closes the file when the server has it.
func (w *worker) listen(setup *workerSetup) (*os.File, error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	file, err := l.File()
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	setup.Port = l.Addr().(*net.TCPAddr).Port
	w.web = &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp4", address)
	}}
	w.cmd.ExtraFiles = append(w.cmd.ExtraFiles, file)
	return file, nil
}

// forward has an InferenceServer answer the request. It runs one at a time, so the
// call has the token of the line until it is over.
func (c *call) forward(ctx context.Context, req *Request) (*Response, error) {
	c.begin = req.begin
	if err := c.w.line.join(ctx, c); err != nil {
		return nil, err
	}
	if err := c.turn(ctx, false); err != nil {
		c.w.line.leave()
		return nil, err
	}
	// The time limit ends the server, and a client that is gone nothing, see Score.
	got, err := c.w.web.RoundTrip(forwarded(context.WithoutCancel(ctx), req))
	if err != nil {
		dial, ok := errors.AsType[*net.OpError](err)
		return nil, c.cut(ok && dial.Op == "dial", err)
	}
	failed := got.Header.Get(headerRunFailed)
	resp := &Response{Status: got.StatusCode, Header: got.Header, Failed: failed == pythonBool(true), told: failed != ""}
	if ms, err := strconv.ParseFloat(got.Header.Get(headerRunMilliseconds), 64); err == nil {
		resp.Elapsed = time.Duration(ms * float64(time.Millisecond))
	}
	if got.ContentLength < 0 {
		resp.Stream = &forwardedBody{c: c, from: got.Body}
		return resp, nil
	}
	defer got.Body.Close()
	if resp.Body, err = io.ReadAll(got.Body); err != nil {
		return nil, c.cut(false, err)
	}
	return resp, c.answered()
}

// forwarded is the request as the server gets it.
func forwarded(ctx context.Context, req *Request) *http.Request {
	header := req.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		header.Del(name)
	}
	header.Set(headerRequestID, req.ID)
	if _, ok := header["User-Agent"]; !ok {
		header["User-Agent"] = []string{""} // none, instead of this client's
	}
	r := &http.Request{Method: req.Method, URL: &url.URL{Scheme: "http", Host: "localhost", Path: "/score", RawQuery: req.Query},
		Host: req.Host, Header: header, Body: http.NoBody, ContentLength: int64(len(req.Body))}
	if len(req.Body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(req.Body))
	}
	return r.WithContext(ctx)
}

// cut ends a call that got no whole answer, and the server with it.
func (c *call) cut(unseen bool, cause error) error {
	defer c.w.line.leave()
	return c.fail(unseen, cause)
}

// answered ends a call whose answer is whole. Its error is that of the time limit,
// which has ended the server meanwhile.
func (c *call) answered() error {
	defer c.w.line.leave()
	c.w.served.Store(true)
	if c.timer != nil && !c.timer.Stop() || c.release != nil && !c.release() {
		return c.broken(c.stopped, errNotStarted)
	}
	c.end(nil)
	return nil
}

// forwardedBody is the body of an answer that comes in pieces.
type forwardedBody struct {
	c    *call
	from io.ReadCloser
}

// Read gives the next piece, which has the time of a call.
func (b *forwardedBody) Read(p []byte) (int, error) {
	if b.c.ended {
		return 0, io.EOF
	}
	n, err := b.from.Read(p)
	switch {
	case err == nil:
		if b.c.timer != nil {
			b.c.timer.Reset(b.c.limit)
		}
		return n, nil
	case errors.Is(err, io.EOF):
		if err := b.c.answered(); err != nil {
			return n, err
		}
		return n, io.EOF
	default:
		return n, b.c.cut(false, err)
	}
}

// Close reads the rest, for as long as one more piece may take; a script that streams
// on is stopped with its server.
func (b *forwardedBody) Close() error {
	defer b.from.Close()
	until := time.Now().Add(b.c.limit)
	buf := make([]byte, 32<<10)
	for !b.c.ended {
		if _, err := b.Read(buf); err != nil {
			return nil // nobody waits for the answer
		}
		if b.c.limit > 0 && time.Now().After(until) {
			b.c.expire()
		}
	}
	return nil
}

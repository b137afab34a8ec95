package scoring

import (
	"bytes"
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// streamAfter is how much of an answer is gathered before it is sent in
// pieces; an answer below it goes out whole.
const streamAfter = 64 << 10

// HTTP makes a scorer of a plain HTTP handler, which sees the request as it
// came (GET, POST, OPTIONS, HEAD) and writes status, headers and body itself.
// It may stream: what it flushes is sent at once. Hijacking is not offered.
func HTTP(h http.Handler) Scorer { return rawHandler{h} }

type rawHandler struct{ h http.Handler }

// Ready gives nil: a handler is always ready.
func (rawHandler) Ready() error { return nil }

// Traits asks for requests as they are.
func (rawHandler) Traits() Traits { return Traits{Raw: true} }

// Close does nothing: a handler has no end.
func (rawHandler) Close(context.Context) error { return nil }

// Score runs the handler as a coroutine that is resumed for each further piece
// of its answer, so a streaming handler needs no buffer and no goroutine that
// somebody must wait for.
func (s rawHandler) Score(ctx context.Context, req *Request) (*Response, error) {
	w := &pieceWriter{header: http.Header{}}
	started := time.Now()
	next, stop := iter.Pull(func(yield func([]byte) bool) {
		w.yield = yield
		s.h.ServeHTTP(w, httpRequest(ctx, req))
		w.WriteHeader(http.StatusOK)
	})
	first, more := next()
	resp := &Response{Status: w.status, Header: w.sent, Body: first, Elapsed: max(time.Since(started), 1)}
	if !more {
		stop()
		resp.Body = w.buf
		return resp, nil
	}
	resp.Stream = &pieceReader{w: w, next: next, stop: stop}
	return resp, nil
}

func httpRequest(ctx context.Context, req *Request) *http.Request {
	r := &http.Request{
		Method: req.Method, URL: &url.URL{Path: req.Path, RawQuery: req.Query},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: req.Header, Host: req.Host, RemoteAddr: req.RemoteAddr,
		Body: io.NopCloser(bytes.NewReader(req.Body)), ContentLength: int64(len(req.Body)),
	}
	r.RequestURI = strings.TrimSuffix(req.Path+"?"+req.Query, "?")
	return r.WithContext(ctx)
}

// pieceWriter is the handler's http.ResponseWriter.
type pieceWriter struct {
	header http.Header
	sent   http.Header // the headers as they were at the first byte
	status int
	buf    []byte
	yield  func([]byte) bool
	ended  bool
}

// Header gives the headers, which count as they are at the first byte.
func (w *pieceWriter) Header() http.Header { return w.header }

// WriteHeader fixes status and headers; only the first call counts.
func (w *pieceWriter) WriteHeader(status int) {
	if w.status != 0 || status < 200 {
		return
	}
	w.status, w.sent = status, w.header.Clone()
}

// Write gathers bytes and hands them on when there are many.
func (w *pieceWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		if w.header.Get("Content-Type") == "" {
			w.header.Set("Content-Type", http.DetectContentType(p))
		}
		w.WriteHeader(http.StatusOK)
	}
	if w.ended {
		return 0, io.ErrClosedPipe
	}
	w.buf = append(w.buf, p...)
	if len(w.buf) >= streamAfter {
		w.Flush()
	}
	return len(p), nil
}

// Flush hands what was written to the reader and waits until it wants more.
func (w *pieceWriter) Flush() {
	w.WriteHeader(http.StatusOK)
	if w.ended {
		return
	}
	piece := w.buf
	w.buf = nil
	w.ended = !w.yield(piece)
}

// pieceReader resumes the handler for each further piece.
type pieceReader struct {
	w     *pieceWriter
	piece []byte
	next  func() ([]byte, bool)
	stop  func()
	ended bool
}

// Read gives what the handler wrote, resuming it when that is used up.
func (r *pieceReader) Read(p []byte) (int, error) {
	for len(r.piece) == 0 {
		if r.ended {
			return 0, io.EOF
		}
		piece, more := r.next()
		if !more {
			piece, r.ended = r.w.buf, true
		}
		r.piece = piece
	}
	n := copy(p, r.piece)
	r.piece = r.piece[n:]
	return n, nil
}

// Close makes the handler's further writes fail and waits until it returns.
func (r *pieceReader) Close() error {
	r.ended = true
	r.stop()
	return nil
}

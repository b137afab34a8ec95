package scoring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/azml-go/azml"
)

// statusClientGone is what the access log shows for a client that did not
// wait for its answer.
const statusClientGone = 499

// maxTries bounds how often a call that no scorer began is tried again.
const maxTries = 3

// score answers /score.
func (s *Server) score(w *recorder, r *http.Request, ids ids) {
	if !allowMethods(w, r, http.MethodGet, http.MethodPost, http.MethodOptions, http.MethodHead) {
		return
	}
	if raw := s.pool.raw(); !raw && r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusOK)
		return
	} else if !raw && !allowMethods(w, r, http.MethodGet, http.MethodPost, http.MethodOptions) {
		return
	}
	if !s.authorized(w, r) {
		return
	}
	req, ok := s.request(w, r, ids)
	if !ok {
		return
	}
	ctx := r.Context()
	resp, done, err := s.dispatch(ctx, req)
	if err != nil {
		s.fail(ctx, w, ids, err)
		return
	}
	defer done()
	if err := s.reply(w, resp); err != nil {
		s.cfg.Logger.Error("scoring answer broke off", "request_id", ids.request, "error", err)
		panic(http.ErrAbortHandler) // the client must not take a part for the whole
	}
}

// request reads the body and gives what the scorer sees.
func (s *Server) request(w http.ResponseWriter, r *http.Request, ids ids) (*Request, bool) {
	body, err := readBody(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody), r.ContentLength, s.cfg.MaxBody)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("The request's body is larger than %d bytes.", s.cfg.MaxBody))
		return nil, false
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "The request's body could not be read.")
		return nil, false
	}
	header := r.Header
	if s.cfg.Keys != nil {
		header = header.Clone()
		header.Del("Authorization") // the key has done its work here
	}
	return &Request{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Host: r.Host, RemoteAddr: r.RemoteAddr,
		Header: header, Body: body, ID: ids.request,
	}, true
}

// readBody reads a body whose length the client may have told.
func readBody(body io.Reader, length, most int64) ([]byte, error) {
	if length < 0 || length > most || length > growFrame {
		return io.ReadAll(body)
	}
	buf := make([]byte, length)
	_, err := io.ReadFull(body, buf)
	return buf, err
}

type outcome struct {
	resp *Response
	err  error
}

// dispatch takes a replica and scores. The caller calls done when it has sent
// the response.
func (s *Server) dispatch(ctx context.Context, req *Request) (resp *Response, done func(), err error) {
	for range maxTries {
		replica, err := s.pool.acquire(ctx)
		if err != nil {
			return nil, nil, err
		}
		resp, done, err = s.run(ctx, replica, req)
		if err == nil || !errors.Is(err, errNotStarted) {
			return resp, done, err
		}
	}
	return nil, nil, errQueueWait
}

// run scores in a goroutine of its own, so that the client gets its answer at
// the timeout whatever the scorer does; the replica counts as busy until the
// scorer has really returned.
func (s *Server) run(ctx context.Context, replica *replica, req *Request) (*Response, func(), error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ScoringTimeout)
	result := make(chan outcome)
	go func() {
		resp, err := safeScore(ctx, replica.scorer, req)
		streams := resp != nil && resp.Stream != nil
		if !streams {
			s.pool.release(replica)
		}
		select {
		case result <- outcome{resp, err}:
		case <-ctx.Done():
			if streams {
				s.finish(replica, resp)
			}
		}
	}()
	select {
	case o := <-result:
		if o.err != nil || o.resp.Stream == nil {
			cancel()
			return o.resp, func() {}, o.err
		}
		return o.resp, func() { s.finish(replica, o.resp); cancel() }, nil
	case <-ctx.Done():
		err := ctx.Err()
		cancel()
		return nil, nil, err
	}
}

func (s *Server) finish(replica *replica, resp *Response) {
	_ = resp.Stream.Close() // nobody is left to tell
	s.pool.release(replica)
}

// safeScore turns a panic and an unusable status into errors.
func safeScore(ctx context.Context, scorer Scorer, req *Request) (resp *Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			resp, err = nil, fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	resp, err = scorer.Score(ctx, req)
	if err != nil {
		return nil, err
	}
	if resp == nil {
		return nil, errors.New("the scorer gave neither a response nor an error")
	}
	if resp.Status == 0 {
		resp.Status = http.StatusOK
	}
	if resp.Status < 200 || resp.Status > 599 {
		if resp.Stream != nil {
			_ = resp.Stream.Close()
		}
		return nil, fmt.Errorf("the scorer's status %d is not an HTTP status of an answer", resp.Status)
	}
	return resp, nil
}

// fail answers a request whose scoring gave an error.
func (s *Server) fail(ctx context.Context, w *recorder, ids ids, err error) {
	if ctx.Err() != nil {
		w.status = statusClientGone
		return
	}
	failed := func(status int, text string) {
		s.cfg.Logger.Error("scoring failed", "request_id", ids.request, "status", status, "error", err)
		w.Header().Set(headerRunFailed, "True")
		refuse(w, status, text)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		failed(http.StatusInternalServerError, fmt.Sprintf("Scoring timeout after %d ms", s.cfg.ScoringTimeout.Milliseconds()))
	case errors.Is(err, errWorkerDied):
		failed(http.StatusBadGateway, "The scoring process ended while it worked on this request. It is being restarted.")
	case errors.Is(err, azml.ErrInvalid):
		refuse(w, http.StatusBadRequest, strings.TrimPrefix(err.Error(), azml.ErrInvalid.Error()+": "))
	case errors.Is(err, azml.ErrUnavailable), errors.Is(err, azml.ErrClosed):
		w.Header().Set("Retry-After", "1")
		s.cfg.Logger.Warn("scoring refused", "request_id", ids.request, "error", err)
		text := "The service is busy. Try again later."
		if errors.Is(err, azml.ErrClosed) {
			text = "The service is stopping."
		}
		refuse(w, http.StatusServiceUnavailable, text)
	default:
		failed(http.StatusInternalServerError, "Scoring failed. The service's log has the details.")
	}
}

// notEOF gives nil for the regular end of a stream.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

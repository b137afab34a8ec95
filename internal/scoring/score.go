package scoring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/openinference"
	"github.com/azml-go/azml/internal/router"
)

// statusClientGone is what the log of requests shows for a client that did not
// wait for its answer.
const statusClientGone = 499

const busyText = "The service is busy. Try again later."

// score answers /score, and MLflow's /invocations.
func (s *Server) score(w *recorder, r *http.Request, name string, invocations bool) {
	d, ok := s.pick(w, name)
	if !ok {
		return
	}
	if invocations && d.traits.MLflow == "" {
		notFound(w)
		return
	}
	if invocations && !allowMethods(w, r, http.MethodPost) {
		return
	}
	if !allowMethods(w, r, http.MethodGet, http.MethodPost, http.MethodOptions, http.MethodHead) {
		return
	}
	if raw := d.traits.Raw; !raw && r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusOK)
		return
	} else if !raw && !allowMethods(w, r, http.MethodGet, http.MethodPost, http.MethodOptions) {
		return
	}
	if !s.authorized(w, r) {
		return
	}
	req, ok := s.request(w, r)
	if !ok {
		return
	}
	req.Invocations = invocations
	w.asked = time.Since(w.call.Began)
	if r.Method == http.MethodPost || r.Method == http.MethodGet {
		s.mirror(d, req)
	}
	late := func() { s.late(w) }
	w.by, w.call.Deployment = d, d.Name()
	resp, done, err := d.Score(w.ctx, req, late)
	for errors.Is(err, router.ErrDrained) {
		// It was taken out of service at this very moment: whoever has taken its
		// place answers.
		route, ok := s.table.Load().Pick(name)
		if !ok || route.To == d { // the service is stopping
			break
		}
		d = route.To
		w.by, w.call.Deployment = d, d.Name()
		resp, done, err = d.Score(w.ctx, req, late)
	}
	if errors.Is(err, errLate) {
		return
	}
	if err != nil {
		s.fail(w, err)
		return
	}
	defer done()
	if w.ctx.Err() != nil {
		w.gone = true
		return
	}
	if err := s.reply(w, resp); err != nil {
		s.cfg.Logger.Error("scoring answer broke off", "deployment", d.Name(), "request_id", w.call.ID, "error", err)
		panic(http.ErrAbortHandler) // the client must not take a part for the whole
	}
}

// late answers a request whose scorer has not returned in time.
func (s *Server) late(w *recorder) {
	w.Header().Set("Connection", "close") // which is not free before the scorer returns
	s.fail(w, context.DeadlineExceeded)
	_ = http.NewResponseController(w).Flush() // a client that is gone needs no answer
}

// pick finds the deployment that is asked for by its name, or one by its share
// of the traffic; without one it refuses the request.
func (s *Server) pick(w http.ResponseWriter, name string) (*Deployment, bool) {
	route, ok := s.table.Load().Pick(name)
	if ok {
		return route.To, true
	}
	if name != "" {
		refuse(w, http.StatusNotFound, fmt.Sprintf("There is no deployment %.40q.", name))
		return nil, false
	}
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusServiceUnavailable, "No deployment of the service has traffic. Name one in the header "+headerDeployment+".")
	return nil, false
}

// request reads the body and gives what the scorer sees.
func (s *Server) request(w *recorder, r *http.Request) (*Request, bool) {
	body, err := s.readBody(w, r)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("The request's body is larger than %d bytes.", tooLarge.Limit))
		return nil, false
	}
	if errors.Is(err, errNoRoom) {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, busyText)
		return nil, false
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "The request's body could not be read.")
		return nil, false
	}
	req := s.seen(w, r)
	req.Body = body
	return req, true
}

// seen gives what the scorer sees of the request beside its body.
func (s *Server) seen(w *recorder, r *http.Request) *Request {
	if !s.open() {
		delete(r.Header, "Authorization") // the key has done its work here
	}
	w.request = Request{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Host: r.Host, RemoteAddr: r.RemoteAddr,
		Header: r.Header, ID: w.call.ID, share: &w.share,
	}
	return &w.request
}

// readBody reads the request's body, for which the recorder holds room.
func (s *Server) readBody(w *recorder, r *http.Request) ([]byte, error) {
	l := s.limits.Load()
	w.share.of = l.room
	body, err := readBody(w, r, l.maxBody, &w.share)
	w.call.In = int64(len(body))
	return body, err
}

// fail answers a request whose scoring gave an error.
func (s *Server) fail(w *recorder, err error) {
	if w.ctx.Err() != nil {
		w.gone = true
		return
	}
	failed := func(status int, text string) {
		s.cfg.Logger.Error("scoring failed", "deployment", w.by.Name(), "request_id", w.call.ID, "status", status, "error", err)
		w.Header().Set(headerRunFailed, "True")
		refuse(w, status, text)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		failed(http.StatusGatewayTimeout, fmt.Sprintf("Scoring timeout after %d ms", w.by.cfg.ScoringTimeout.Milliseconds()))
	case errors.Is(err, errWorkerDied):
		failed(http.StatusBadGateway, "The scoring process ended while it worked on this request. It is being restarted.")
	case errors.Is(err, azml.ErrInvalid):
		refuse(w, http.StatusBadRequest, strings.TrimPrefix(err.Error(), azml.ErrInvalid.Error()+": "))
	case errors.Is(err, azml.ErrUnavailable), errors.Is(err, azml.ErrClosed):
		w.Header().Set("Retry-After", "1")
		s.cfg.Logger.Warn("scoring refused", "deployment", w.by.Name(), "request_id", w.call.ID, "error", err)
		text := busyText
		switch {
		case errors.Is(err, azml.ErrClosed):
			text = "The service is stopping."
		case errors.Is(err, openinference.ErrUnloaded):
			text = "The model was unloaded. Ask again when it is loaded."
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

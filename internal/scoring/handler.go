package scoring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/azml-go/azml"
)

// HandlerFunc is a scoring function in Go: valid JSON in, anything that
// encoding/json can write out, of which a json.RawMessage is sent as it is. For a GET request the input is an object of the
// query's parameters. An error that wraps azml.ErrInvalid is answered with 400
// and its text, any other error with 500 and a text that gives nothing away.
type HandlerFunc func(ctx context.Context, input json.RawMessage) (any, error)

// Handler makes a scorer of a Go function. It takes any number of calls at
// once and is always ready.
func Handler(f HandlerFunc) Scorer { return handler{f} }

type handler struct{ f HandlerFunc }

// Ready gives nil: a function is always ready.
func (handler) Ready() error { return nil }

// Traits gives nothing special.
func (handler) Traits() Traits { return Traits{} }

// Close does nothing: a function has no end.
func (handler) Close(context.Context) error { return nil }

// Score calls the function.
func (h handler) Score(ctx context.Context, req *Request) (*Response, error) {
	input, err := jsonInput(req)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	value, err := h.f(ctx, input)
	elapsed := max(time.Since(started), 1)
	if err != nil {
		return nil, ofUser(ctx, err)
	}
	body, err := written(value)
	if err != nil {
		return nil, err
	}
	return &Response{Header: jsonHeader, Body: body, Elapsed: elapsed}, nil
}

// userError is an error of a function that scores. What it wraps is hidden: a time limit
// or a service of the function's own is none of the server's, which would tell clients to
// try again.
type userError struct {
	text  string
	class error // what it means to the server; nil for a failure
}

func (e *userError) Error() string { return e.text }

func (e *userError) Unwrap() error { return e.class }

// ofUser gives an error of a function that was called with ctx.
func ofUser(ctx context.Context, err error) error {
	e := &userError{text: err.Error(), class: ctx.Err()}
	if errors.Is(err, azml.ErrInvalid) {
		e.class = azml.ErrInvalid
	}
	return e
}

// written gives a function's answer as JSON, which it may be already; what the function
// keeps of it stays its own.
func written(value any) ([]byte, error) {
	if raw, is := value.(json.RawMessage); is && json.Valid(raw) {
		return bytes.Clone(raw), nil
	}
	body, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("the handler's answer can't be written as JSON: %v", err) //nolint:errorlint // see userError
	}
	return body, nil
}

// jsonInput gives the request's input as valid JSON.
func jsonInput(req *Request) (json.RawMessage, error) {
	if req.Method == http.MethodGet {
		return queryJSON(req.Query)
	}
	if len(bytes.TrimSpace(req.Body)) == 0 {
		return nil, fmt.Errorf("%w: the request's body is empty; send a JSON value", azml.ErrInvalid)
	}
	if !json.Valid(req.Body) {
		var v any
		return nil, fmt.Errorf("%w: the request's body is not JSON: %w", azml.ErrInvalid, json.Unmarshal(req.Body, &v))
	}
	return req.Body, nil
}

package scoring

import (
	"bytes"
	"context"
	"encoding/json"
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
		return nil, err
	}
	body, err := written(value)
	if err != nil {
		return nil, err
	}
	return &Response{Header: jsonHeader, Body: body, Elapsed: elapsed}, nil
}

// written gives a function's answer as JSON, which it may be already; what the function
// keeps of it stays its own.
func written(value any) ([]byte, error) {
	if raw, is := value.(json.RawMessage); is && json.Valid(raw) {
		return bytes.Clone(raw), nil
	}
	body, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("the handler's answer can't be written as JSON: %w", err)
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

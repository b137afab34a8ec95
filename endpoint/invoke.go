package endpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/azml-go/azml"
)

// InvokeOptions are the options of Endpoint.Invoke.
type InvokeOptions struct {
	// ContentType is the type of the body, "application/json" when empty.
	ContentType string
	// Key is the key to send; the primary key of the secret store when empty.
	Key string
	// Header are further headers of the request.
	Header http.Header
}

// maxAnswer bounds what Invoke reads of an answer.
const maxAnswer = 1 << 30

// Invoke sends body to the endpoint and gives the body of its answer. A service
// that is not reached or is too busy (503) is tried again three times. Errors:
// *ResponseError for an answer other than 2xx; ErrUnavailable when the endpoint
// is not served or not reached.
func (e *Endpoint) Invoke(ctx context.Context, body []byte, opts *InvokeOptions) (_ []byte, err error) {
	defer e.h.Operation(&ctx, &err, "invoke", kind, e.Name())()
	if opts == nil {
		opts = &InvokeOptions{}
	}
	for again := false; ; again = true {
		key, err := e.lookUp(ctx, opts, again)
		if err != nil {
			return nil, err
		}
		answer, err := e.post(ctx, body, key, opts)
		var refused *ResponseError
		stale := errors.As(err, &refused) && refused.StatusCode == http.StatusUnauthorized && opts.Key == ""
		if !stale || again {
			return answer, err
		}
	}
}

// lookUpEvery is how long an address and a key that were read are used: after a
// service has ended, another may get its port, and must not get its key.
const lookUpEvery = time.Second

// lookUp reads where the endpoint is served and with which key, when that was
// not done lately or anew is set.
func (e *Endpoint) lookUp(ctx context.Context, opts *InvokeOptions, anew bool) (key string, err error) {
	e.mu.Lock()
	fresh := !anew && time.Since(e.read) < lookUpEvery && e.stored.Value.URL != ""
	key = e.keys.Primary
	e.mu.Unlock()
	if !fresh {
		if err := e.Refresh(ctx); err != nil {
			return "", err
		}
	}
	r := e.record()
	switch {
	case r.URL == "":
		return "", fmt.Errorf("%w: it is %s and not served now", azml.ErrUnavailable, r.State)
	case r.AuthDisabled:
		return "", nil
	case opts.Key != "":
		return opts.Key, nil
	case fresh && key != "":
		return key, nil
	}
	keys, err := e.Keys(ctx)
	if err != nil {
		return "", err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.keys = keys
	return keys.Primary, nil
}

func (e *Endpoint) post(ctx context.Context, body []byte, key string, opts *InvokeOptions) ([]byte, error) {
	request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, e.ScoringURI(), body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	setHeader(request.Header, key, opts)
	client := newHTTPClient()
	client.HTTPClient.Transport = e.h.Telemetry().Transport(client.HTTPClient.Transport)
	defer client.HTTPClient.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%w: the answer broke off: %w", azml.ErrUnavailable, err)
	}
	if response.StatusCode/100 != 2 {
		return nil, &ResponseError{StatusCode: response.StatusCode, Header: response.Header, Body: answer}
	}
	return answer, nil
}

// InvokeJSON sends in as JSON and reads the answer into out. Errors: as Invoke;
// ErrInvalid when in can't be written as JSON or the answer doesn't fit out.
func (e *Endpoint) InvokeJSON(ctx context.Context, in, out any, opts *InvokeOptions) (err error) {
	defer e.h.Operation(&ctx, &err, "invoke", kind, e.Name())()
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%w: input: %w", azml.ErrInvalid, err)
	}
	answer, err := e.Invoke(ctx, body, opts)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%w: answer: %w", azml.ErrInvalid, err)
	}
	return nil
}

func setHeader(header http.Header, key string, opts *InvokeOptions) {
	for name, values := range opts.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	header.Set("Content-Type", "application/json")
	if opts.ContentType != "" {
		header.Set("Content-Type", opts.ContentType)
	}
	if key != "" {
		header.Set("Authorization", "Bearer "+key)
	}
}

// newHTTPClient makes a client that tries again only where the service has
// certainly not begun: scoring may have effects.
func newHTTPClient() *retryablehttp.Client {
	client := retryablehttp.NewClient()
	client.Logger = nil
	client.RetryMax = 3
	client.RetryWaitMin, client.RetryWaitMax = 100*time.Millisecond, 2*time.Second
	client.ErrorHandler = retryablehttp.PassthroughErrorHandler
	client.CheckRetry = func(ctx context.Context, response *http.Response, err error) (bool, error) {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		var dial *net.OpError
		refused := errors.As(err, &dial) && dial.Op == "dial"
		return refused || err == nil && response.StatusCode == http.StatusServiceUnavailable, nil
	}
	return client
}

// ResponseError is an answer of an endpoint other than 2xx.
type ResponseError struct {
	// StatusCode is the HTTP status.
	StatusCode int
	// Header are the headers of the answer.
	Header http.Header
	// Body is the body of the answer.
	Body []byte
}

// Error gives the status and the service's message.
func (e *ResponseError) Error() string {
	var said struct {
		Message string `json:"message"`
	}
	text := string(bytes.TrimSpace(e.Body))
	if json.Unmarshal(e.Body, &said) == nil && said.Message != "" {
		text = said.Message
	}
	const longest = 500
	if len(text) > longest {
		text = text[:longest] + "…"
	}
	return fmt.Sprintf("the service answered %d %s: %s", e.StatusCode, http.StatusText(e.StatusCode), text)
}

// Unwrap gives the error class that the status stands for.
func (e *ResponseError) Unwrap() error {
	switch e.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return azml.ErrDenied
	case http.StatusNotFound:
		return azml.ErrNotFound
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return azml.ErrUnavailable
	}
	if e.StatusCode/100 == 4 {
		return azml.ErrInvalid
	}
	return azml.ErrFailed
}

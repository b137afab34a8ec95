package endpoint

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/record"
)

// InvokeOptions are the options of Endpoint.Invoke.
type InvokeOptions struct {
	// ContentType is the type of the body, "application/json" when empty.
	ContentType string
	// Deployment names the deployment that is to answer; one by its share of the
	// traffic when empty.
	Deployment string
	// Key is the key or token to send; when empty, what the endpoint asks for is
	// taken from the secret store.
	Key string
	// Header are further headers of the request.
	Header http.Header
	// RootCAs are the authorities that the service's certificate may be of, those of
	// the system when nil.
	RootCAs *x509.CertPool
}

// maxAnswer bounds what Invoke reads of an answer.
const maxAnswer = 1 << 30

// Invoke sends body to the endpoint and gives the body of its answer. A service
// that is not reached or is too busy (503) is tried again three times, by another process when several
// serve it. Errors: *ResponseError for an answer other than 2xx; ErrUnavailable when the endpoint
// is not served or not reached.
func (e *Endpoint) Invoke(ctx context.Context, body []byte, opts *InvokeOptions) (_ []byte, err error) {
	defer e.h.Operation(&ctx, &err, "invoke", kind, e.Name())()
	if opts == nil {
		opts = &InvokeOptions{}
	}
	var dead []string // where nobody answers
	for again := false; ; again = true {
		key, err := e.lookUp(ctx, opts, again)
		if err != nil {
			return nil, err
		}
		url := e.oneURL(dead)
		answer, err := e.post(ctx, url, body, key, opts)
		var refused *ResponseError
		stale := errors.As(err, &refused) && refused.StatusCode == http.StatusUnauthorized && opts.Key == "" && !again
		var dial *net.OpError
		moved := errors.As(err, &dial) && dial.Op == "dial" && !slices.Contains(dead, url) // the process has ended since
		if !stale && !moved {
			return answer, err
		}
		dead = append(dead, url)
	}
}

// lookUpEvery is how long an address and a key that were read are used: after a
// service has ended, another may get its port, and must not get its key.
const lookUpEvery = time.Second

// lookUp reads where the endpoint is served and what to send, when that was not
// done lately or anew is set.
func (e *Endpoint) lookUp(ctx context.Context, opts *InvokeOptions, anew bool) (secret string, err error) {
	e.mu.Lock()
	fresh := !anew && time.Since(e.read) < lookUpEvery
	secret = e.secret
	if time.Now().After(e.until) {
		secret = ""
	}
	e.mu.Unlock()
	if !fresh || e.URL() == "" {
		if err := e.Refresh(ctx); err != nil {
			return "", err
		}
	}
	auth := e.record().Auth
	switch {
	case e.URL() == "":
		return "", fmt.Errorf("%w: it is %s and not served now: serve it with azml endpoint serve %s", azml.ErrUnavailable, e.State(), e.Name())
	case auth == record.AuthNone:
		return "", nil
	case opts.Key != "":
		return opts.Key, nil
	case fresh && secret != "":
		return secret, nil
	}
	return e.readSecret(ctx, auth)
}

// readSecret reads the key, or makes a token.
func (e *Endpoint) readSecret(ctx context.Context, auth string) (string, error) {
	secret, until := "", time.Now().Add(lookUpEvery)
	if auth == record.AuthToken {
		token, err := e.Token(ctx, &TokenOptions{Life: time.Minute})
		if err != nil {
			return "", err
		}
		secret = token.Token
	} else {
		keys, err := e.Keys(ctx)
		if err != nil {
			return "", err
		}
		secret = keys.Primary
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.secret, e.until = secret, until
	return secret, nil
}

// oneURL gives one of the places where the endpoint is served, at random, and
// none of those that are dead while there are others.
func (e *Endpoint) oneURL(dead []string) string {
	urls := e.urls()
	if living := slices.DeleteFunc(slices.Clone(urls), func(url string) bool { return slices.Contains(dead, url) }); len(living) > 0 {
		urls = living
	}
	if len(urls) == 0 {
		return ""
	}
	return urls[rand.IntN(len(urls))] //nolint:gosec // which one is no secret
}

func (e *Endpoint) post(ctx context.Context, url string, body []byte, key string, opts *InvokeOptions) ([]byte, error) {
	request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, url+"/score", body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	setHeader(request.Header, key, opts)
	client := newHTTPClient(opts.RootCAs)
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
	if opts.Deployment != "" {
		header.Set("azureml-model-deployment", opts.Deployment)
	}
}

// newHTTPClient makes a client that tries again only where the service has
// certainly not begun: scoring may have effects.
func newHTTPClient(roots *x509.CertPool) *retryablehttp.Client {
	client := retryablehttp.NewClient()
	if transport, ok := client.HTTPClient.Transport.(*http.Transport); ok && roots != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
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

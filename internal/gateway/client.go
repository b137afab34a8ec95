package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/azml-go/azml"
)

// Client reaches the stores behind a gateway. It is a backend.Objects, and its
// Secrets are the secrets. It tries nothing again: backend/retrying does. It is
// safe for concurrent use.
type Client struct {
	http      *http.Client
	token     string
	datastore string // whose files are meant; "" for the workspace's objects
}

// Dial gives a client of the gateway at the address ("unix:" and a path, or
// "tcp:", host and port) for the token. It connects when it is used first. Errors:
// ErrInvalid.
func Dial(address, token string) (*Client, error) {
	network, place, ok := strings.Cut(address, ":")
	if !ok || network != "unix" && network != "tcp" || place == "" {
		return nil, fmt.Errorf("%w: gateway address %q: want unix:PATH or tcp:HOST:PORT", azml.ErrInvalid, address)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, place)
	}
	const idle = 16 // as many as are under way at once in an agent
	return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: idle, DisableCompression: true}}, token: token}, nil
}

// Datastore gives a client of the files and tables of the datastore with the name, as
// far as the token may use them. It is a backend.Objects in which nothing grows. It
// shares the connections of c.
func (c *Client) Datastore(name string) *Client {
	return &Client{http: c.http, token: c.token, datastore: name}
}

// Close closes idle connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// do sends a request and gives its answer, whose body the caller closes. Errors:
// those that the gateway answers with; ErrUnavailable when it can't be reached.
func (c *Client) do(ctx context.Context, call string, query url.Values, body *upload) (*http.Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.datastore != "" {
		query.Set("datastore", c.datastore)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://gateway"+base+call+"?"+query.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		defer body.stop()
		if request.ContentLength = body.size; body.size > 0 {
			request.Body = body
		}
	}
	answer, err := c.http.Do(request)
	if err != nil {
		if body != nil && body.failure() != nil {
			return nil, body.failure()
		}
		return nil, lost(ctx, err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	defer answer.Body.Close()
	failure := &wireError{}
	const most = 1 << 20
	if err := json.NewDecoder(io.LimitReader(answer.Body, most)).Decode(failure); err != nil || failure.Class == "" {
		return nil, fmt.Errorf("%w: the gateway answered %s", azml.ErrUnavailable, answer.Status)
	}
	return nil, failure
}

// lost gives the error of a connection that broke: the caller's context, or
// ErrUnavailable.
func lost(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	return fmt.Errorf("%w: the way to the workspace: %w", azml.ErrUnavailable, err)
}

// ask makes a call whose answer is one JSON value.
func ask[T any](ctx context.Context, c *Client, call string, query url.Values, body *upload) (value T, err error) {
	answer, err := c.do(ctx, call, query, body)
	if err != nil {
		return value, err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&value); err != nil {
		return value, lost(ctx, fmt.Errorf("cut off: %w", err))
	}
	return value, nil
}

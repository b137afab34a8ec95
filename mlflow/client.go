package mlflow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/azml-go/azml"
)

// Login is how one shows a server who one is. The zero Login shows nothing.
type Login struct {
	// Token is sent as a bearer token. It comes before User and Password.
	Token string
	// User and Password are sent as MLflow's own authentication wants them.
	// Those in a URL come before these.
	User, Password string
}

const (
	// maxAnswer bounds what is read of an answer that is a message, in bytes.
	maxAnswer = 256 << 20
	// answerTime bounds the wait for the beginning of an answer.
	answerTime = 2 * time.Minute
)

// client sends requests to an MLflow server. It is safe for concurrent use.
type client struct {
	http  *retryablehttp.Client
	base  *url.URL
	login Login
}

// newClient makes a client of the server with that URL.
func newClient(address string, login Login) (*client, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("%w: the URL of a server looks like http://host:5000", azml.ErrInvalid)
	}
	if password, ok := base.User.Password(); ok {
		login = Login{User: base.User.Username(), Password: password}
	}
	base.User, base.RawQuery, base.Fragment = nil, "", ""
	base.Path = strings.TrimRight(base.Path, "/")
	c := &client{http: retryablehttp.NewClient(), base: base, login: login}
	c.http.Logger = nil
	c.http.RetryMax = 5
	c.http.RetryWaitMin, c.http.RetryWaitMax = 200*time.Millisecond, 10*time.Second
	c.http.CheckRetry = retry
	c.http.ErrorHandler = retryablehttp.PassthroughErrorHandler
	if transport, ok := c.http.HTTPClient.Transport.(*http.Transport); ok {
		transport.ResponseHeaderTimeout = answerTime
		transport.MaxIdleConnsPerHost = workers
	}
	// The token is for this server, wherever it sends us.
	c.http.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// refusal is an answer other than 2xx.
type refusal struct {
	status  int
	code    string // MLflow's, empty when it gave none
	message string
}

// Error gives the answer in words.
func (r *refusal) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the server answered %d %s: %s", r.status, r.code, r.message))
}

// Unwrap gives the class.
func (r *refusal) Unwrap() error {
	switch {
	case r.code == "RESOURCE_ALREADY_EXISTS":
		return azml.ErrExists
	case r.status == http.StatusNotFound:
		return azml.ErrNotFound
	case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden:
		return azml.ErrDenied
	case r.status == http.StatusConflict:
		return azml.ErrConflict
	case r.status == http.StatusNotImplemented:
		return azml.ErrUnsupported
	case r.status >= http.StatusInternalServerError, r.status == http.StatusTooManyRequests:
		return azml.ErrUnavailable
	}
	return azml.ErrInvalid
}

// The beginnings of the paths of MLflow's interface.
const (
	apiPath  = "/api/2.0/mlflow/"
	ajaxPath = "/ajax-api/2.0/mlflow/"
)

// get asks for a message.
func (c *client) get(ctx context.Context, path string, query url.Values, answer any) error {
	return c.message(ctx, http.MethodGet, path, query, nil, answer)
}

// post sends a message and reads the answer, unless answer is nil. It is sent
// again when the server could not be reached or was too busy, so it must be one
// that may arrive twice.
func (c *client) post(ctx context.Context, path string, message, answer any) error {
	return c.message(ctx, http.MethodPost, path, nil, message, answer)
}

func (c *client) message(ctx context.Context, method, path string, query url.Values, message, answer any) error {
	var body []byte
	header := http.Header{}
	if message != nil {
		data, err := json.Marshal(message)
		if err != nil {
			return err
		}
		body = data
		header.Set("Content-Type", "application/json")
	}
	resp, err := c.send(ctx, method, path, query, header, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if answer == nil {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("%w: read the answer of %s: %w", azml.ErrUnavailable, path, err)
	case len(data) > maxAnswer:
		return fmt.Errorf("%w: the answer of %s has more than %d bytes", azml.ErrUnsupported, path, maxAnswer)
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("%w: %s answers with what is no message of MLflow: is this the URL of an MLflow server? %w", azml.ErrInvalid, path, err)
	}
	return nil
}

// once is post for a message that must not arrive twice: it is sent once only.
func (c *client) once(ctx context.Context, path string, message, answer any) error {
	return c.post(context.WithValue(ctx, onceKey{}, true), path, message, answer)
}

type onceKey struct{}

// retry tries again what failed, unless it is to be sent once.
func retry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Value(onceKey{}) != nil {
		return false, nil
	}
	return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
}

// send sends a request; path is not escaped. body is nil, []byte or what
// go-retryablehttp takes to send it again. Errors: *refusal; ErrUnavailable.
func (c *client) send(ctx context.Context, method, path string, query url.Values, header http.Header, body any) (*http.Response, error) {
	address := *c.base
	address.Path += path
	address.RawQuery = query.Encode()
	if b, ok := body.([]byte); ok && b == nil {
		body = nil
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, method, address.String(), body)
	if err != nil {
		return nil, err
	}
	for key, values := range header {
		req.Header[key] = values
	}
	switch {
	case c.login.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.login.Token)
	case c.login.User != "":
		req.SetBasicAuth(c.login.User, c.login.Password)
	}
	resp, err := c.http.Do(req)
	switch {
	case ctx.Err() != nil:
		if resp != nil {
			_ = resp.Body.Close() // nobody reads it
		}
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("%w: %w", azml.ErrUnavailable, plain(err))
	case resp.StatusCode/100 == 2:
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refused(resp)
}

// plain takes the URL off, which others name better.
func plain(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

func refused(resp *http.Response) error {
	const longest = 2000
	data, err := io.ReadAll(io.LimitReader(resp.Body, longest))
	if err != nil {
		return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	r := &refusal{status: resp.StatusCode, message: strings.ToValidUTF8(string(bytes.TrimSpace(data)), "")}
	if to, err := resp.Location(); err == nil {
		to.User, to.RawQuery = nil, ""
		r.message = "it sends to " + to.String() + ": give the URL behind it"
	}
	var told struct {
		Code    string `json:"error_code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(data, &told) == nil && told.Code != "" {
		r.code, r.message = told.Code, told.Message
	}
	return r
}

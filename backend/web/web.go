package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Type is the type of datastores that are web servers.
const Type = "HTTP"

// Driver opens web servers as datastores. Facts of a connection are "url" and
// "user"; credentials are "password" and "bearerToken".
type Driver struct{}

// Type gives Type.
func (Driver) Type() string { return Type }

// Open implements backend.DatastoreDriver.
func (Driver) Open(_ context.Context, source backend.DatastoreSource) (backend.Datastore, error) {
	base, err := url.Parse(source.Connection["url"])
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil || base.RawQuery+base.Fragment != "" {
		return nil, fmt.Errorf("%w: url: use http://host/path or https://host/path", azml.ErrInvalid)
	}
	if !strings.HasSuffix(base.Path, "/") {
		base = base.JoinPath("/")
	}
	s := &Store{base: base, user: source.Connection["user"], password: source.Credentials["password"], token: source.Credentials["bearerToken"]}
	s.client, s.close = newClient(base)
	return s, nil
}

// Store is an opened web server. It is safe for concurrent use.
type Store struct {
	base                  *url.URL
	user, password, token string
	client                *http.Client
	close                 func()
}

// Close ends connections that are idle.
func (s *Store) Close() error {
	s.close()
	return nil
}

// Check implements backend.Datastore: the server must answer and take the
// credentials. What it says of the URL itself, which need not be a page, is not
// looked at.
func (s *Store) Check(ctx context.Context) error {
	response, err := s.ask(ctx, http.MethodHead, s.base, nil)
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// where gives the URL of a file. Segments such as ".." would lead elsewhere, so
// they are the path of nothing.
func (s *Store) where(path string) (*url.URL, error) {
	if backend.ValidKey(path) != nil {
		return nil, fmt.Errorf("%w: %q can't be the path of a file", azml.ErrNotFound, path)
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	u := *s.base
	u.RawPath = strings.TrimSuffix(s.base.EscapedPath(), "/") + "/" + strings.Join(segments, "/")
	u.Path = s.base.Path + path
	return &u, nil
}

// ask sends a request and gives an answer of success.
func (s *Store) ask(ctx context.Context, method string, u *url.URL, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, u.String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	// Of a file that is packed on the way, no range means what it should.
	request.Header.Set("Accept-Encoding", "identity")
	switch {
	case s.token != "":
		request.Header.Set("Authorization", "Bearer "+s.token)
	case s.user+s.password != "":
		request.SetBasicAuth(s.user, s.password)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fail(ctx, err)
	}
	if class := classOf(response.StatusCode); class != nil {
		_, _ = io.CopyN(io.Discard, response.Body, 1<<10) // lets the connection be used again
		return nil, errors.Join(fmt.Errorf("%w: %s answers %s", class, u.Host, response.Status), response.Body.Close())
	}
	return response, nil
}

// classOf gives the class of a failure, nil for success.
func classOf(status int) error {
	switch {
	case status < http.StatusMultipleChoices:
		return nil
	case status == http.StatusNotFound, status == http.StatusGone:
		return azml.ErrNotFound
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired:
		return azml.ErrDenied
	case status == http.StatusMethodNotAllowed, status == http.StatusNotImplemented:
		return azml.ErrUnsupported
	case status == http.StatusRequestedRangeNotSatisfiable:
		return azml.ErrInvalid
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= http.StatusInternalServerError:
		return azml.ErrUnavailable
	}
	return azml.ErrInvalid
}

// fail gives an error of the connection its class.
func fail(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case azml.ClassOf(err) != nil:
		return err
	}
	return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
}

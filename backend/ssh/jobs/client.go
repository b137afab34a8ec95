package jobs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Client asks a far Serve. It is for one connection: when that is gone, its
// calls give ErrLost. It is safe for concurrent use.
type Client struct {
	http *http.ClientConn
	conn io.Closer
}

// noise is how much a far shell's start-up files may say before Serve does.
const noise = 64 << 10

// Connect begins to talk to what in and out lead to, over a carrier that closing
// the client closes: after that, in and out fail. When it gives an error, the
// carrier stays open. Errors: ErrLost, with what was said instead; ErrUnsupported
// for another version.
func Connect(ctx context.Context, in io.Reader, out io.Writer, carrier io.Closer) (*Client, error) {
	r := bufio.NewReaderSize(in, 4<<10)
	if err := meet(r); err != nil {
		return nil, err
	}
	conn := &stdio{in: r, out: out, carrier: carrier, closed: make(chan struct{})}
	t := &http.Transport{Protocols: plainHTTP2(), HTTP2: http2Config(), DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	cc, err := t.NewClientConn(ctx, "http", "far:80")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLost, err)
	}
	return &Client{http: cc, conn: conn}, nil
}

// meet reads to the greeting's end.
func meet(r *bufio.Reader) error {
	var said []byte
	for begins, n := true, 0; n < noise; {
		line, err := r.ReadSlice('\n')
		version, ok := strings.CutPrefix(string(line), greeting)
		switch {
		case begins && ok && err == nil && version == strconv.Itoa(Protocol)+"\n":
			return nil
		case begins && ok && err == nil:
			return errVersion(strings.TrimSpace(version))
		}
		begins = err == nil
		said, n = append(said, line...), n+len(line)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	if text := strings.Join(strings.Fields(string(said)), " "); text != "" {
		return fmt.Errorf("%w: it said %.300q", ErrLost, text)
	}
	return ErrLost
}

// Close ends the connection, and the calls on it. Jobs go on.
func (c *Client) Close() error {
	return errors.Join(c.http.Close(), c.conn.Close())
}

// Err is nil as long as the connection is fit for calls.
func (c *Client) Err() error { return c.http.Err() }

// ask makes a request and gives its answer, whose body is the caller's. An error
// that the far end tells is given as it was there.
func (c *Client) ask(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: "far", Path: path, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	got, err := c.http.RoundTrip(r)
	if err != nil {
		return nil, lost(ctx, err)
	}
	if got.StatusCode == http.StatusOK {
		return got, nil
	}
	defer got.Body.Close()
	var f failure
	if err := json.NewDecoder(got.Body).Decode(&f); err != nil {
		return nil, lost(ctx, err)
	}
	return nil, f.error()
}

// lost gives the error of a connection that broke, or the context's.
func lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// call asks for one value. A nil value wants none.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body io.Reader, value any) error {
	got, err := c.ask(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	if value == nil {
		_, err = io.Copy(io.Discard, got.Body)
	} else {
		err = json.NewDecoder(got.Body).Decode(value)
	}
	if err != nil {
		return lost(ctx, err)
	}
	return nil
}

func of(id string) url.Values { return url.Values{"id": {id}} }

// Check tells whether jobs can be started, as backend.Compute has it.
func (c *Client) Check(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/check", nil, nil, nil)
}

// Start starts the job. The token is the caller's own of this Start: when the
// answer was lost, the same call, on another connection, gives it. A context that
// ends leaves unknown whether the job was started; Undo settles that.
func (c *Client) Start(ctx context.Context, token string, job backend.Job) error {
	body, err := json.Marshal(newStartRequest(token, job))
	if err != nil {
		return fmt.Errorf("%w: job %q: %w", azml.ErrInvalid, job.ID, err)
	}
	return c.call(ctx, http.MethodPost, "/start", nil, bytes.NewReader(body), nil)
}

// Undo ends and removes the job that a Start of this token has started, if any.
func (c *Client) Undo(ctx context.Context, token, id string) error {
	query := of(id)
	query.Set("token", token)
	return c.call(ctx, http.MethodPost, "/undo", query, nil, nil)
}

// Begun waits until the job that Hold holds runs, or could not be started, which the
// outcome's Err says. Errors: ErrDamaged.
func (c *Client) Begun(ctx context.Context) (Outcome, error) {
	var said json.RawMessage
	if err := c.call(ctx, http.MethodGet, "/begun", nil, nil, &said); err != nil {
		return Outcome{}, err
	}
	return UnmarshalOutcome(said)
}

// Status tells how the job is. Errors: ErrNotFound.
func (c *Client) Status(ctx context.Context, id string) (status backend.JobStatus, err error) {
	err = c.call(ctx, http.MethodGet, "/status", of(id), nil, &status)
	return status, err
}

// Wait waits for the job's end. Errors: ErrNotFound.
func (c *Client) Wait(ctx context.Context, id string) (status backend.JobStatus, err error) {
	err = c.call(ctx, http.MethodGet, "/wait", of(id), nil, &status)
	return status, err
}

// Cancel ends the job, as backend.Compute has it. Errors: ErrNotFound.
func (c *Client) Cancel(ctx context.Context, id string, grace time.Duration) error {
	query := of(id)
	query.Set("grace", grace.String())
	return c.call(ctx, http.MethodPost, "/cancel", query, nil, nil)
}

// Remove forgets an ended job. Errors: ErrNotFound, ErrConflict while it runs.
func (c *Client) Remove(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, "/remove", of(id), nil, nil)
}

// List yields the jobs whose IDs come after one, in their order. What yield
// refuses ends it.
func (c *Client) List(ctx context.Context, after string, yield func(backend.JobStatus) bool) error {
	return askList(ctx, c, "/list", after, yield)
}

// askList yields the lines of an answer.
func askList[T any](ctx context.Context, c *Client, path, after string, yield func(T) bool) error {
	got, err := c.ask(ctx, http.MethodGet, path, url.Values{"after": {after}}, nil)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	for d := json.NewDecoder(got.Body); ; {
		var one T
		if err := d.Decode(&one); err == io.EOF {
			return trailed(got)
		} else if err != nil {
			return lost(ctx, err)
		}
		if !yield(one) {
			return nil
		}
	}
}

// Output opens what the job has written. A reader that gives io.EOF has given
// all; one that gives ErrLost is to be opened again behind what it gave.
func (c *Client) Output(ctx context.Context, id string, opts backend.OutputOptions) (io.ReadCloser, error) {
	query := of(id)
	query.Set("offset", strconv.FormatInt(opts.Offset, 10))
	query.Set("follow", strconv.FormatBool(opts.Follow))
	got, err := c.ask(ctx, http.MethodGet, "/output", query, nil) //nolint:bodyclose // the stream closes it
	if err != nil {
		return nil, err
	}
	return &stream{ctx: ctx, answer: got}, nil
}

// stream is the body of an answer that may end with an error told.
type stream struct {
	ctx    context.Context // of the reader: it is bounded by Output's
	answer *http.Response
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.answer.Body.Read(p)
	if errors.Is(err, io.EOF) {
		if told := trailed(s.answer); told != nil {
			err = told
		}
	} else if err != nil {
		err = lost(s.ctx, err)
	}
	return n, err
}

// Close implements io.Closer.
func (s *stream) Close() error { return s.answer.Body.Close() }

// Program gives the path of an installed program. When none has the name, but
// one the content with this SHA-256 in hexadecimal digits, that gets the name,
// too; an empty digest means none. Errors: ErrNotFound, ErrInvalid.
func (c *Client) Program(ctx context.Context, name, digest string) (string, error) {
	var l located
	err := c.call(ctx, http.MethodGet, "/program", url.Values{"name": {name}, "digest": {digest}}, nil, &l)
	return l.Path, err
}

// Install sends a program and gives its path. Errors: ErrInvalid, ErrDamaged when
// something else arrived.
func (c *Client) Install(ctx context.Context, name, digest string, content io.Reader) (string, error) {
	var l located
	err := c.call(ctx, http.MethodPut, "/program", url.Values{"name": {name}, "digest": {digest}}, content, &l)
	return l.Path, err
}

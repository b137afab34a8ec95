package scoring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/azml-go/azml"
)

// reply is what a question got.
type reply struct {
	status  int
	header  http.Header // is only read
	body    []byte
	tensors []Tensor      // of a question in tensors
	ran     time.Duration // how long the user's code ran
}

// question makes a request as the server's clients send them.
func question(body []byte) *Request {
	return &Request{Method: http.MethodPost, Path: "/score", Host: "localhost", RemoteAddr: "127.0.0.1:0",
		Header: http.Header{"Content-Type": {"application/json"}}, Body: body, ID: newID()}
}

// ask scores a request and gives what it got, up to most bytes. Errors: those that a
// client would not see; ErrUnavailable when there is no answer in time.
func (d *Deployment) ask(ctx context.Context, req *Request, most int64) (reply, error) {
	type result struct {
		reply
		err error
	}
	ended := make(chan result, 1)
	late := func() {
		ended <- result{err: fmt.Errorf("%w: no answer after %s: %w", azml.ErrUnavailable, d.cfg.ScoringTimeout, context.DeadlineExceeded)}
	}
	go func() {
		resp, done, err := d.Score(ctx, req, late)
		if err != nil {
			req.share.leave()
			if !errors.Is(err, errLate) {
				ended <- result{err: err}
			}
			return
		}
		defer done()
		answer, err := whole(resp, most)
		if err == nil {
			err = req.share.grow(ctx, int64(len(answer)))
		}
		if err != nil {
			req.share.leave()
		}
		ended <- result{reply{resp.Status, resp.Header, answer, resp.tensors, resp.Elapsed}, err}
	}()
	got := <-ended
	return got.reply, got.err
}

// whole gives the body of a response with what is streamed, up to most bytes.
func whole(resp *Response, most int64) ([]byte, error) {
	body := resp.Body
	if resp.Stream != nil {
		rest, err := io.ReadAll(io.LimitReader(resp.Stream, most))
		if err != nil {
			return nil, err
		}
		body = append(body[:len(body):len(body)], rest...)
	}
	return body[:min(int64(len(body)), most)], nil
}

// Check scores a request before the deployment gets traffic, and gives the
// answer's status and body, up to 64 KiB. Errors: those that a client would not
// see.
func (d *Deployment) Check(ctx context.Context, body []byte) (status int, answer []byte, err error) {
	const most = 64 << 10
	got, err := d.ask(ctx, question(body), most)
	return got.status, got.body, err
}

package scoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// callHead goes to the worker with each call.
type callHead struct {
	Method      string      `json:"method"`
	Query       string      `json:"query,omitempty"`
	ContentType string      `json:"content_type,omitempty"`
	Path        string      `json:"path,omitempty"`
	Host        string      `json:"host,omitempty"`
	Remote      string      `json:"remote,omitempty"`
	Headers     [][2]string `json:"headers,omitempty"`
}

// answerHead comes back from the worker, and once more for each further piece
// of a streamed answer.
type answerHead struct {
	Status  int         `json:"status"`
	JSON    bool        `json:"json"`
	Headers [][2]string `json:"headers"`
	Nanos   int64       `json:"ns"`
	Failed  bool        `json:"failed"`
	More    bool        `json:"more"`
	Broken  bool        `json:"broken"`
	Log     string      `json:"log"`
}

// call is one call that holds a worker's token until its answer has been read.
type call struct {
	w       *worker
	lost    func(error)
	limit   time.Duration // for the answer, and for each piece of a streamed one; 0 is none
	timer   *time.Timer
	release func() bool // ends the watch over a context without a deadline
	stopped error       // what it means when the watch stops the worker
	expired atomic.Bool
	ended   bool
	piece   []byte
}

// start sends the request and reads the answer, or its first part.
func (c *call) start(ctx context.Context, req *Request) (*Response, error) {
	if c.w.dead.Load() {
		c.lost(errNotStarted)
		c.w.token <- struct{}{}
		return nil, errNotStarted
	}
	head, err := json.Marshal(c.w.head(req))
	if err != nil {
		c.w.token <- struct{}{}
		return nil, err
	}
	c.watch(ctx)
	if n, err := writeFrame(c.w.calls, head, req.Body); err != nil {
		return nil, c.fail(n == 0, err)
	}
	answer, body, err := c.next()
	if err != nil {
		return nil, err
	}
	if answer.Broken {
		return nil, fmt.Errorf("the response that run() returned can't be read")
	}
	resp := &Response{Status: answer.Status, Header: answer.header(), Body: body, Elapsed: time.Duration(answer.Nanos), Failed: answer.Failed}
	if answer.More {
		resp.Stream = c
	}
	return resp, nil
}

// watch kills the worker when the call takes too long.
func (c *call) watch(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok {
		c.limit = max(time.Until(deadline), 1)
		c.stopped = errScoringTimeout
		c.timer = time.AfterFunc(c.limit, c.expire)
		return
	}
	c.stopped = context.Canceled
	c.release = context.AfterFunc(ctx, c.expire)
}

func (c *call) expire() {
	c.expired.Store(true)
	c.w.kill()
}

// next reads one answer frame; the last one, or a failure, ends the call.
func (c *call) next() (answer answerHead, body []byte, err error) {
	head, body, err := readFrame(c.w.reader)
	if err == nil {
		err = json.Unmarshal(head, &answer)
	}
	if err != nil {
		return answer, nil, c.fail(false, err)
	}
	if answer.Log != "" {
		c.w.log.write('E', "azml", []byte(answer.Log))
	}
	if answer.More {
		if c.timer != nil {
			c.timer.Reset(c.limit)
		}
		return answer, body, nil
	}
	c.w.served.Store(true)
	if !c.finish() {
		return answer, nil, c.fail(false, c.stopped)
	}
	return answer, body, nil
}

// finish stops the clock and frees the worker; it is false when time ran out.
func (c *call) finish() bool {
	c.ended = true
	if c.timer != nil && !c.timer.Stop() || c.release != nil && !c.release() {
		return false
	}
	c.w.token <- struct{}{}
	return true
}

// fail takes the worker out of service: whatever happened, its pipes can't be
// trusted to be between two frames any more.
func (c *call) fail(unseen bool, cause error) error {
	c.finishFailed()
	err := fmt.Errorf("%w: %w", errWorkerDied, cause)
	switch {
	case c.expired.Load():
		err = c.stopped
	case unseen:
		err = errNotStarted
	}
	c.lost(err)
	c.w.kill()
	c.w.token <- struct{}{}
	return err
}

func (c *call) finishFailed() {
	c.ended = true
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.release != nil {
		c.release()
	}
}

// Read gives the next piece of a streamed answer.
func (c *call) Read(p []byte) (int, error) {
	for len(c.piece) == 0 {
		if c.ended {
			return 0, io.EOF
		}
		answer, body, err := c.next()
		if err != nil {
			return 0, err
		}
		if answer.Broken {
			return 0, errors.New("the streamed answer broke off; the script's log has the details")
		}
		c.piece = body
	}
	n := copy(p, c.piece)
	c.piece = c.piece[n:]
	return n, nil
}

// Close reads the rest of a streamed answer, for as long as one more piece may
// take; a script that streams on is stopped with its worker.
func (c *call) Close() error {
	until := time.Now().Add(c.limit)
	for !c.ended {
		if _, _, err := c.next(); err != nil {
			return nil // the worker is restarted; nobody waits for the answer
		}
		if !c.ended && c.limit > 0 && time.Now().After(until) {
			c.expire()
		}
	}
	return nil
}

// head gives what the script needs of the request.
func (w *worker) head(req *Request) callHead {
	head := callHead{Method: req.Method}
	if req.Method == http.MethodGet || w.hello.Mode == "raw" {
		head.Query = req.Query
	}
	if w.hello.Mode == "schema" {
		head.ContentType = req.Header.Get("Content-Type")
	}
	if w.hello.Mode == "raw" {
		head.Path, head.Host, head.Remote = req.Path, req.Host, req.RemoteAddr
	}
	if w.hello.WantsHeaders {
		head.Headers = append(head.Headers, [2]string{"Host", req.Host})
		for name, values := range req.Header {
			head.Headers = append(head.Headers, [2]string{name, strings.Join(values, ",")})
		}
	}
	return head
}

func (w *worker) traits() Traits {
	t := Traits{Raw: w.hello.Mode == "raw"}
	if w.hello.Mode == "schema" {
		t.Schema = &Schema{Input: w.hello.InputSchema, Output: w.hello.OutputSchema, Versions: w.hello.Versions}
	}
	return t
}

func (a *answerHead) header() http.Header {
	if a.JSON {
		return jsonHeader()
	}
	header := make(http.Header, len(a.Headers))
	for _, pair := range a.Headers {
		header.Add(pair[0], pair[1])
	}
	return header
}

package scoring

import (
	"context"
	"encoding/binary"
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
	ID          string      `json:"id,omitempty"`
	Query       string      `json:"query,omitempty"`
	ContentType string      `json:"content_type,omitempty"`
	Path        string      `json:"path,omitempty"`
	Host        string      `json:"host,omitempty"`
	Remote      string      `json:"remote,omitempty"`
	Headers     [][2]string `json:"headers,omitempty"`
	Batch       []int       `json:"batch,omitempty"` // the lengths of the bodies of a batch
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
	Batch   []part      `json:"batch"`
}

// part is one answer of a batch; the bodies follow one another.
type part struct {
	answerHead
	Length int `json:"length"`
}

// plainHead is the length of the head of an answer that is a script's plain value:
// the nanoseconds that run() took, as a big-endian number. All other heads are JSON
// and longer.
const plainHead = 8

// call is one call of a worker, until its answer has been read.
type call struct {
	w       *worker
	over    chan struct{} // closed when the next call may read its answer
	begin   func()        // begins the request's time, unless nil
	lost    func(error)
	limit   time.Duration // for the answer, and for each piece of a streamed one; 0 is none
	timer   *time.Timer
	release func() bool // ends the watch over a context without a deadline
	stopped error       // what it means when the watch stops the worker
	expired atomic.Bool
	ended   bool
	piece   []byte
}

// start sends the request and reads the answer, or its first part. A small request
// is sent while the worker is still at the one before it, so that the worker finds
// it as soon as it asks for more; its clock starts when its turn has come.
func (c *call) start(ctx context.Context, req *Request) (*Response, error) {
	head, err := c.w.head(req)
	if err != nil {
		return nil, err
	}
	c.begin = req.begin
	if err := c.w.line.join(ctx, c); err != nil {
		return nil, err
	}
	before := c.w.line.last
	c.w.line.last = c.over
	early := len(head)+len(req.Body) <= maxEarly && !ended(before)
	if !early {
		<-before
		if err := c.turn(ctx, early); err != nil {
			c.w.line.leave()
			return nil, err
		}
	}
	n, sending := writeFrame(c.w.calls, head, req.Body)
	c.w.line.leave()
	if early {
		<-before
		if err := c.turn(ctx, early); err != nil {
			return nil, err
		}
	}
	if sending != nil {
		return nil, c.fail(n == 0, sending)
	}
	answer, body, err := c.next()
	if err != nil {
		return nil, err
	}
	if answer.Broken {
		return nil, fmt.Errorf("the response that run() returned can't be read")
	}
	resp := &Response{Status: answer.Status, Header: answer.header(), Body: body, Elapsed: time.Duration(answer.Nanos), Failed: answer.Failed, parts: answer.Batch}
	if answer.More {
		resp.Stream = c
	}
	return resp, nil
}

// turn begins the call's time, or ends it when the worker is of no use any more.
func (c *call) turn(ctx context.Context, sent bool) error {
	err := c.w.line.broken
	if err == nil && !sent && c.w.dead.Load() {
		err = errNotStarted
	}
	if err == nil {
		if c.begin != nil {
			c.begin()
		}
		c.watch(ctx)
		return nil
	}
	c.lost(err)
	c.end(errNotStarted)
	return err
}

// end lets the next call have its turn; broken, unless nil, says what became of it.
func (c *call) end(broken error) {
	c.ended = true
	if broken != nil {
		c.w.line.broken = broken
	}
	close(c.over)
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
	c.w.late.Store(true)
	c.w.kill()
}

// next reads one answer frame; the last one, or a failure, ends the call.
func (c *call) next() (answer answerHead, body []byte, err error) {
	head, body, err := readFrame(c.w.reader)
	switch {
	case err != nil:
	case len(head) == plainHead:
		answer = answerHead{Status: http.StatusOK, JSON: true, Nanos: int64(binary.BigEndian.Uint64(head))}
	default:
		err = json.Unmarshal(head, &answer)
	}
	if err != nil {
		return answer, nil, c.fail(false, err)
	}
	if answer.Log != "" {
		c.w.log.write('E', "azml", []byte(answer.Log))
	}
	for i := range answer.Batch {
		if said := answer.Batch[i].Log; said != "" {
			c.w.log.write('E', "azml", []byte(said))
		}
	}
	if answer.More {
		if c.timer != nil {
			c.timer.Reset(c.limit)
		}
		return answer, body, nil
	}
	c.w.served.Store(true)
	c.w.line.note(time.Duration(answer.Nanos))
	if c.timer != nil && !c.timer.Stop() || c.release != nil && !c.release() {
		// The worker was ended behind this answer: it may have begun the next call.
		return answer, nil, c.broken(c.stopped, errWorkerDied)
	}
	c.end(nil)
	return answer, body, nil
}

// fail takes the worker out of service: whatever happened, its pipes can't be
// trusted to be between two frames any more. The calls behind it were not begun, for
// a worker answers one before it begins the next.
func (c *call) fail(unseen bool, cause error) error {
	switch {
	case c.expired.Load():
		return c.broken(c.stopped, errNotStarted)
	case unseen:
		return c.broken(errNotStarted, errNotStarted)
	}
	return c.broken(fmt.Errorf("%w: %w", errWorkerDied, c.w.end(cause)), errNotStarted)
}

// broken ends the worker; next is what becomes of the call behind this one.
func (c *call) broken(err, next error) error {
	c.stopClock()
	c.lost(err)
	c.w.kill()
	c.end(next)
	return err
}

func (c *call) stopClock() {
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

// head gives what the script needs of the request beside its body; nothing is a
// plain POST.
func (w *worker) head(req *Request) ([]byte, error) {
	if req.batch != nil {
		return json.Marshal(callHead{Method: http.MethodPost, Batch: req.batch})
	}
	if w.hello.Mode == "plain" && !w.hello.WantsHeaders && !w.hello.WantsID && req.Method == http.MethodPost {
		return nil, nil
	}
	head := callHead{Method: req.Method}
	if w.hello.WantsID {
		head.ID = req.ID
	}
	if req.Method == http.MethodGet || w.hello.Mode == "raw" {
		head.Query = req.Query
	}
	if w.hello.Mode == "schema" || w.hello.Mode == "model" {
		head.ContentType = req.Header.Get("Content-Type")
	}
	if req.Invocations {
		head.Path = invocationsPath
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
	return json.Marshal(head)
}

func (w *worker) traits() Traits {
	t := Traits{Raw: w.hello.Mode == "raw", Ahead: true, MLflow: w.hello.MLflow}
	if w.hello.Mode == "schema" {
		t.Schema = &Schema{Input: w.hello.InputSchema, Output: w.hello.OutputSchema, Versions: w.hello.Versions}
	}
	return t
}

func (a *answerHead) header() http.Header {
	if a.JSON {
		return jsonHeader
	}
	header := make(http.Header, len(a.Headers))
	for _, pair := range a.Headers {
		header.Add(pair[0], pair[1])
	}
	return header
}

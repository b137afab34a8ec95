package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Check implements backend.Compute: it connects and starts something there that
// does nothing. Errors: ErrUnavailable, ErrDenied, ErrUnsupported.
func (d *Driver) Check(ctx context.Context) error {
	return d.do(ctx, func(c *Client) error { return c.Check(ctx) })
}

// Start implements backend.Compute. A start whose answer was lost is asked about
// when the connection is there again, until patience ends; ErrUnavailable then
// leaves open whether the job runs, which Status tells.
func (d *Driver) Start(ctx context.Context, job backend.Job) error {
	if err := backend.CheckNodes(job); err != nil {
		return err
	}
	token := rand.Text()
	asked := false
	err := d.do(ctx, func(c *Client) error {
		asked = true
		return c.Start(ctx, token, job)
	})
	if ctx.Err() == nil || !asked {
		return err
	}
	// It may run by now.
	const patience = 30 * time.Second
	undoing, stop := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer stop()
	return errors.Join(ctx.Err(), d.do(undoing, func(c *Client) error { return c.Undo(undoing, token, job.ID) }))
}

// Status implements backend.Compute.
func (d *Driver) Status(ctx context.Context, id string) (status backend.JobStatus, err error) {
	err = d.do(ctx, func(c *Client) (err error) {
		status, err = c.Status(ctx, id)
		return err
	})
	return status, err
}

// Wait implements backend.Compute. It waits on when the connection was lost and
// is there again.
func (d *Driver) Wait(ctx context.Context, id string) (status backend.JobStatus, err error) {
	err = d.do(ctx, func(c *Client) (err error) {
		status, err = c.Wait(ctx, id)
		return err
	})
	return status, err
}

// Cancel implements backend.Compute. The machine does the work, so it goes on when
// the connection is lost.
func (d *Driver) Cancel(ctx context.Context, id string, grace time.Duration) error {
	deadline := time.Now().Add(grace)
	return d.do(ctx, func(c *Client) error { return c.Cancel(ctx, id, max(0, time.Until(deadline))) })
}

// Remove implements backend.Compute.
func (d *Driver) Remove(ctx context.Context, id string) error {
	lost := false
	return d.do(ctx, func(c *Client) error {
		err := c.Remove(ctx, id)
		if lost && errors.Is(err, azml.ErrNotFound) {
			return nil // the call whose answer was lost has done it
		}
		lost = lost || errors.Is(err, ErrLost)
		return err
	})
}

// List implements backend.Compute. It asks once.
func (d *Driver) List(ctx context.Context) iter.Seq2[backend.JobStatus, error] {
	return func(yield func(backend.JobStatus, error) bool) {
		last, stopped := "", false
		err := d.do(ctx, func(c *Client) error {
			return c.List(ctx, last, func(s backend.JobStatus) bool {
				last = s.ID
				stopped = !yield(s, nil)
				return !stopped
			})
		})
		if err != nil && !stopped {
			yield(backend.JobStatus{}, err)
		}
	}
}

// Output implements backend.Compute. What was lost on the way is asked for again.
// Errors: ErrNotFound, ErrInvalid when Offset is negative.
func (d *Driver) Output(ctx context.Context, id string, opts *backend.OutputOptions) (io.ReadCloser, error) {
	if err := backend.CheckNode(id, opts); err != nil {
		return nil, err
	}
	o := &output{driver: d, id: id, opts: *opts}
	o.ctx, o.cancel = context.WithCancel(ctx)
	if err := o.open(); err != nil {
		o.cancel()
		return nil, err
	}
	return o, nil
}

// output reads on where a connection was lost.
type output struct {
	driver *Driver
	ctx    context.Context // of the reader: it is bounded by Output's
	cancel context.CancelFunc
	id     string
	opts   backend.OutputOptions
	body   io.ReadCloser
}

func (o *output) open() error {
	return o.driver.do(o.ctx, func(c *Client) (err error) {
		o.body, err = c.Output(o.ctx, o.id, o.opts)
		return err
	})
}

// Read implements io.Reader.
func (o *output) Read(p []byte) (int, error) {
	for {
		n, err := o.body.Read(p)
		o.opts.Offset += int64(n)
		if n > 0 || !errors.Is(err, ErrLost) {
			return n, err
		}
		_ = o.body.Close() // it is broken
		if err := o.open(); err != nil {
			return 0, err
		}
	}
}

// Close ends the reading, also one that waits just now.
func (o *output) Close() error {
	o.cancel()
	return nil
}

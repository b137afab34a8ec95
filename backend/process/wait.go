//go:build linux || darwin

package process

import (
	"context"
	"time"

	"github.com/azml-go/azml/backend"
)

// maxPause is the longest time between two looks at something that can't be
// waited for, such as a job that another driver started.
const maxPause = 100 * time.Millisecond

// Status implements backend.Compute. It reads one small file.
func (d *Driver) Status(ctx context.Context, id string) (backend.JobStatus, error) {
	if err := ctx.Err(); err != nil {
		return backend.JobStatus{}, err
	}
	r, err := d.read(id)
	if err != nil {
		return backend.JobStatus{}, err
	}
	return r.status(), nil
}

// Wait implements backend.Compute. The end of a job that this driver started
// is known at once, that of another within a tenth of a second.
func (d *Driver) Wait(ctx context.Context, id string) (backend.JobStatus, error) {
	p := d.pacer(id)
	for {
		s, err := d.Status(ctx, id)
		if err != nil || s.State != backend.JobRunning {
			return s, err
		}
		if err := p.pause(ctx); err != nil {
			return backend.JobStatus{}, err
		}
	}
}

// pacer spaces out looks at a running job.
type pacer struct {
	ended <-chan struct{}
	wait  time.Duration
}

// pacer gives the pacer of the job. When this driver watches over it, the job's
// end is what ends a pause.
func (d *Driver) pacer(id string) *pacer {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := &pacer{wait: time.Millisecond}
	if w := d.watched[id]; w != nil {
		p.ended = w.ended
	}
	return p
}

// pause blocks until the job may have ended.
func (p *pacer) pause(ctx context.Context) error {
	if p.ended == nil {
		return p.nap(ctx)
	}
	select {
	case <-p.ended:
		p.ended = nil
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// nap blocks until something new may be there, or the job has ended.
func (p *pacer) nap(ctx context.Context) error {
	t := time.NewTimer(p.wait)
	defer t.Stop()
	p.wait = min(2*p.wait, maxPause)
	select {
	case <-p.ended:
		p.ended = nil
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

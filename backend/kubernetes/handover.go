package kubernetes

import (
	"context"
	"errors"
	"net"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// handover gives the connection that a job of one node is started by to who listens for
// the job, when that is the same driver: another session in the pod would take 50 ms of two
// processors, which what the job waits for needs.
type handover struct {
	client chan *jobs.Client // has room for one
	over   chan struct{}     // closed when no other client comes
}

// handOver begins the handover of a job; end ends it. Of several nodes, each has a session
// of its own.
func (d *Driver) handOver(job backend.Job) (h *handover, end func()) {
	h = &handover{client: make(chan *jobs.Client, 1), over: make(chan struct{})}
	if job.Nodes <= 1 {
		d.handovers.Store(job.ID, h)
	}
	return h, func() {
		d.handovers.CompareAndDelete(job.ID, h)
		close(h.over)
		select {
		case client := <-h.client: // nobody listens
			_ = client.Close()
		default:
		}
	}
}

// give hands the client over, and tells whether somebody else closes it from now on.
func (h *handover) give(client *jobs.Client) bool {
	select {
	case h.client <- client:
		return true
	default:
		return false
	}
}

// handed waits for the client of a job that this driver starts. There is none when the job
// is not being started, or when that has ended.
func (d *Driver) handed(ctx context.Context, id string) *jobs.Client {
	h, ok := d.handovers.Load(id)
	if !ok {
		return nil
	}
	select {
	case client := <-h.(*handover).client:
		return client
	case <-h.(*handover).over:
	case <-ctx.Done():
	}
	return nil
}

// connect connects to a pod for as long as the driver lives, unless ctx ends before it has:
// a pod that is just ending may never answer.
func (d *Driver) connect(ctx context.Context, open func(living context.Context) (*jobs.Client, error)) (*jobs.Client, error) {
	living, cancel := context.WithCancel(d.life)
	stop := context.AfterFunc(ctx, cancel)
	client, err := open(living)
	if !stop() && err == nil {
		err = errors.Join(net.ErrClosed, client.Close())
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return client, nil
}

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/ssh/jobs"
)

// handover gives the connection that a job of one node is started by to who listens for
// the job, when that is the same driver: another session in the pod would take 50 ms of two
// processors, which what the job waits for needs.
type handover struct {
	client chan *jobs.Client // has room for one
	over   chan struct{}     // closed when no other client comes

	mu       sync.Mutex
	ended    bool
	returned []*jobs.Client // by who could not use them; Start may
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
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ended = true
		for _, client := range h.returned {
			_ = client.Close()
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

// giveBack has a client closed that can't be listened by, when the job's start needs it no
// more.
func (h *handover) giveBack(client *jobs.Client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		_ = client.Close()
		return
	}
	h.returned = append(h.returned, client)
}

// handed waits for the client of a job that this driver starts, and gives what closes it.
// There is none when the job is not being started, or when that has ended.
func (d *Driver) handed(ctx context.Context, id string) (client *jobs.Client, closing func()) {
	h, ok := d.handovers.Load(id)
	if !ok {
		return nil, nil
	}
	from := h.(*handover)
	select {
	case client := <-from.client:
		return client, func() { from.giveBack(client) }
	case <-from.over:
	case <-ctx.Done():
	}
	return nil, nil
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
	switch {
	case err == nil:
		return client, nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case d.life.Err() != nil:
		err = fmt.Errorf("%w: the driver of namespace %s", azml.ErrClosed, d.cluster.namespace)
	}
	cancel()
	return nil, err
}

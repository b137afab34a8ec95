package agent

import (
	"context"
	"sync"

	"github.com/azml-go/azml/internal/record"
)

// service is what the parameter servers of an attempt are there for. Their scripts may wait
// for ever, as TensorFlow's do, so they are ended when no worker works any more. It is nil
// for runs without parameter servers.
type service struct {
	here chan struct{} // closed when all workers of this node have ended with success
	all  chan struct{} // closed when those of all nodes have
	end  func()        // closes all, once
}

// newService makes that of an attempt. Where there is one node, its workers are all.
func (d *drive) newService() *service {
	c := d.run.Definition.Distributed
	if c == nil || c.ParameterServers == 0 {
		return nil
	}
	s := &service{here: make(chan struct{}), all: make(chan struct{})}
	if d.place.count == 1 {
		s.all = s.here
	}
	s.end = sync.OnceFunc(func() { close(s.all) })
	return s
}

// worked says that the last worker of this node has ended with success.
func (s *service) worked() {
	if s != nil {
		close(s.here)
	}
}

// over is done when parameter servers are not needed any more.
func (s *service) over() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.all
}

// isServer tells whether a process is a parameter server.
func isServer(c *record.Distributed, number int) bool {
	return c != nil && c.Framework == TensorFlow && number >= c.Workers
}

// servers are the parameter servers of this node.
func (d *drive) servers() (all []*rank) {
	for _, r := range d.ranks {
		if r.server {
			all = append(all, r)
		}
	}
	return all
}

// serve waits until all workers of the run have ended with success, and tells the other
// nodes.
func (g *gang) serve(ctx context.Context, attempt int, said record.RunNode) error {
	s := g.d.service
	if s == nil {
		return nil
	}
	err := g.await(ctx, attempt, func(state string) bool {
		select {
		case <-s.here:
			return state == nodeWorked || state == nodeDone
		default: // somewhere else one may fail meanwhile
			return false
		}
	})
	if err != nil {
		return err
	}
	said.State = nodeWorked
	if err := g.d.say(ctx, said); err != nil {
		return err
	}
	s.end()
	return nil
}

// sayWorked tells node 0 when the workers of this node have ended with success, where
// parameter servers go on; stop ends them when that can't be told. After the function that
// it gives nothing is said any more: what is being said by then is said to its end, for a
// write that is given up may still be carried out, after what is said next.
func (d *drive) sayWorked(ctx context.Context, stop context.CancelCauseFunc, attempt int) (ended func()) {
	if len(d.servers()) == 0 {
		return func() {}
	}
	waiting, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-d.service.here:
		case <-waiting.Done():
			return
		}
		if err := d.say(ctx, record.RunNode{Attempt: attempt, State: nodeWorked}); err != nil && ctx.Err() == nil {
			stop(err)
		}
	}()
	return func() { cancel(); <-over }
}

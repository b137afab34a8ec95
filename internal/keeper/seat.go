package keeper

import (
	"context"
	"errors"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/gateway"
	"github.com/azml-go/azml/internal/record"
)

// seat is an agent's job and the way to it, which runs may have one after another.
type seat struct {
	job    string
	lease  *os.File
	target backend.OpenedCompute // nil until it is open
	// cacheDir is the agent's folder for what can be made again.
	cacheDir string
	// address is where the job finds the gateway, "" until it is there.
	address string
	stop    context.CancelFunc // ends the gateway, which served tells
	served  <-chan struct{}
	// run answers for the store to the run that has the seat.
	run atomic.Pointer[gateway.Handler]
	// questions are of the agent that asks for another run.
	questions chan question
}

// question is an agent that asks for another run.
type question struct {
	answer chan<- []byte
	gone   <-chan struct{}
}

// reply answers, and tells whether the agent was still there.
func (q question) reply(text []byte) bool {
	select {
	case q.answer <- text:
		return true
	case <-q.gone:
		return false
	}
}

// newSeat takes the lease of the agent's job. Errors: as takeLease.
func newSeat(h core.Handle, job string) (*seat, error) {
	lease, err := takeLease(h, job)
	if err != nil {
		return nil, err
	}
	return &seat{job: job, lease: lease, questions: make(chan question)}, nil
}

// ServeHTTP implements http.Handler.
func (s *seat) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.run.Load().ServeHTTP(w, r) }

// offer is what the agent is told to do after its run. It waits until somebody has
// an answer.
func (s *seat) offer(ctx context.Context) ([]byte, error) {
	answer := make(chan []byte)
	select {
	case s.questions <- question{answer, ctx.Done()}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case text := <-answer:
		return text, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// leave ends what is there for the agent; with ended, its job is forgotten, too.
func (s *seat) leave(ctx context.Context, h core.Handle, ended bool) error {
	if s.stop != nil {
		s.stop()
		<-s.served
	}
	var err error
	if s.target != nil {
		if ended {
			clearJob(ctx, h, s.target, s.job)
		}
		err = s.target.Close()
	}
	giveUp(s.lease, ended)
	return err
}

// Forget removes what the keeper of an agent that is not wanted any more has left on this
// machine when it was killed. It does nothing while somebody keeps the agent's run.
func Forget(h core.Handle, job string) {
	if lease, err := takeLease(h, job); err == nil {
		giveUp(lease, true)
	}
}

// clearJob forgets an agent's job on the target.
func clearJob(ctx context.Context, h core.Handle, target backend.OpenedCompute, job string) {
	if err := target.Remove(ctx, job); err != nil && !errors.Is(err, azml.ErrNotFound) {
		h.Logger().Warn("what a run has left on its compute target could not be removed", "job", job, "error", err)
	}
}

// lend has the seat answer for the run.
func (k *keeper) lend(ctx context.Context) error {
	handler, err := k.handler(k.run.Agent)
	if err != nil {
		return err
	}
	k.seat.run.Store(handler.Offering(k.seat.offer))
	if k.seat.address != "" {
		return nil
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	address, served, err := k.serve(serving, k.seat.job, k.seat)
	if err != nil {
		stop()
		return err
	}
	k.seat.address, k.seat.stop, k.seat.served = address, stop, served
	return nil
}

// outcome waits until the agent's job has ended, or its run has and it asks for
// another one.
func (k *keeper) outcome(ctx context.Context, job string) (backend.JobStatus, error) {
	type end struct {
		status backend.JobStatus
		err    error
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan end, 1)
	go func() {
		status, err := k.wait(waiting, job)
		ended <- end{status, err}
	}()
	for {
		select {
		case e := <-ended:
			return e.status, e.err
		case q := <-k.seat.questions:
			run, ok := k.completed(ctx)
			if !ok {
				q.reply(nil)
				continue
			}
			stop()
			<-ended
			k.park(q, run)
			return backend.JobStatus{}, nil
		}
	}
}

// completed gives the run when it has come to a good end, and its agent may stay.
func (k *keeper) completed(ctx context.Context) (run record.Run, ok bool) {
	if !k.mayStay() {
		return run, false
	}
	stored, err := k.read(ctx)
	return stored.Value, err == nil && stored.Value.Status == record.Completed && k.keeps(stored.Value)
}

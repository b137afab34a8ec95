package keeper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

const (
	// spareTime is how long an agent waits for another run.
	spareTime = 10 * time.Second
	// dismissTime is what it has to end when there is none.
	dismissTime = 30 * time.Second
)

// Spares are agents on nodes of a cluster whose runs are over, and which wait for a
// run that may have them. They end when none comes for ten seconds. It is safe for
// concurrent use.
type Spares struct {
	h       core.Handle
	leaving sync.WaitGroup

	mu    sync.Mutex
	there map[string]*Spare // by node
}

// NewSpares gives none.
func NewSpares(h core.Handle) *Spares { return &Spares{h: h, there: map[string]*Spare{}} }

// Spare is an agent that waits for a run.
type Spare struct {
	spares *Spares
	seat   *seat
	last   record.Run // that it had
	ask    question
	timer  *time.Timer
}

// Job is the ID of the agent's job.
func (s *Spare) Job() string { return s.seat.job }

// Image is the container image that it runs in.
func (s *Spare) Image() string { return s.last.Agent.Image }

// Job gives the job of the agent that waits on the node, "" for none.
func (s *Spares) Job(node string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if spare := s.there[node]; spare != nil {
		return spare.Job()
	}
	return ""
}

// Take gives the agent on the node for a run, whose keeping with StartOn, or Dismiss,
// must follow. One that the run may not have is dismissed: then, and when there is none,
// it gives nil.
func (s *Spares) Take(node string, run record.Run) *Spare {
	spare := s.take(node)
	if spare != nil && !alike(spare.last, run) {
		spare.Dismiss()
		return nil
	}
	return spare
}

func (s *Spares) take(node string) *Spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	spare := s.there[node]
	if spare != nil {
		delete(s.there, node)
		spare.timer.Stop()
	}
	return spare
}

// alike tells whether a run may have the agent that another one had: who submitted
// one trusts its code with what the other has, for it is the same; and both get the
// same place.
func alike(a, b record.Run) bool {
	x, y := a.Definition, b.Definition
	return a.CreatedBy == b.CreatedBy && a.Experiment == b.Experiment && a.Snapshot == b.Snapshot && x.Compute == y.Compute && x.Environment.Hash == y.Environment.Hash &&
		x.Limits == y.Limits && x.AllowWorkspace == y.AllowWorkspace && slices.Equal(x.Secrets, y.Secrets) && alone(b)
}

// alone tells whether the run is one process on one node.
func alone(r record.Run) bool { return r.Definition.Nodes <= 1 && r.Definition.Distributed == nil }

// Drop dismisses the agent on the node, if there is one.
func (s *Spares) Drop(node string) {
	if spare := s.take(node); spare != nil {
		spare.Dismiss()
	}
}

// Close dismisses all agents, and waits until they have ended. No run must be kept any
// more.
func (s *Spares) Close() {
	s.mu.Lock()
	for node, spare := range s.there {
		delete(s.there, node)
		spare.timer.Stop()
		s.leaving.Go(spare.end)
	}
	s.mu.Unlock()
	s.leaving.Wait()
}

// Dismiss has the agent end, in the background. Nil is none.
func (s *Spare) Dismiss() {
	if s != nil {
		s.spares.leaving.Go(s.end)
	}
}

// end tells the agent that there is no run for it, and forgets its job.
func (s *Spare) end() {
	ctx, stop := context.WithTimeout(context.Background(), 2*dismissTime)
	defer stop()
	s.ask.reply(nil)
	patience, enough := context.WithTimeout(ctx, dismissTime)
	_, err := s.seat.target.Wait(patience, s.seat.job)
	enough()
	if err != nil {
		err = s.seat.target.Cancel(ctx, s.seat.job, time.Second)
	}
	over := err == nil || errors.Is(err, azml.ErrNotFound) // a scheduler has removed it, perhaps
	if left := s.seat.leave(ctx, s.spares.h, over); left != nil {
		s.spares.h.Logger().Debug("the target of an agent that is not needed could not be closed", "job", s.seat.job, "error", left)
	}
}

// mayStay tells whether the run's agent may have another run: in a container, of which
// this process alone is the keeper.
func (k *keeper) mayStay() bool {
	if k.spares == nil || !alone(k.run) || len(k.run.Agent.Nodes) != 1 {
		return false
	}
	near, ok := backend.As[backend.Near](k.seat.target)
	_, containers := backend.As[backend.Images](k.seat.target)
	return ok && near.Near() && containers
}

// park leaves the agent, whose run this was, to who looks for one.
func (k *keeper) park(q question, run record.Run) {
	k.parked = true
	node := run.Agent.Nodes[0]
	if k.spare == nil {
		k.seat.cacheDir = k.cacheDir
	}
	spare := &Spare{spares: k.spares, seat: k.seat, last: run, ask: q}
	k.spares.mu.Lock()
	defer k.spares.mu.Unlock()
	spare.timer = time.AfterFunc(spareTime, func() { k.spares.expire(node, spare) })
	k.spares.there[node] = spare
}

// expire dismisses the agent unless somebody has it by now.
func (s *Spares) expire(node string, spare *Spare) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.there[node] == spare {
		delete(s.there, node)
		s.leaving.Go(spare.end)
	}
}

// StartOn is Start for a run on a node of a cluster. With a spare agent, which the
// run's record names, that one has the run; else a new one is started. When the run has
// ended well, the agent may become one of the spares. Errors: also ErrUnavailable when
// the spare agent was lost before it had the run, which needs another one then.
func StartOn(ctx context.Context, h core.Handle, i agent.Instructions, spares *Spares, spare *Spare) error {
	k := &keeper{h: h, spares: spares, spare: spare}
	if spare != nil {
		k.seat, k.target = spare.seat, spare.seat.target
	}
	return k.keep(ctx, i.RunID, &i)
}

// begin gives the agent its run.
func (s *Spare) begin(ctx context.Context, k *keeper, i agent.Instructions) error {
	i.Gateway, i.CacheDir, i.Another = s.seat.address, s.seat.cacheDir, true
	text, err := i.Encode()
	if err != nil {
		return err
	}
	k.launched = k.h.Now()
	if ctx.Err() != nil || !s.ask.reply(text) {
		return fmt.Errorf("%w: the agent that waited for a run is gone", azml.ErrUnavailable)
	}
	return nil
}

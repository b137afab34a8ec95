package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/pause"
	"github.com/azml-go/azml/internal/record"
)

// whileThere gives a context that ends, with the reason, when nodes of low priority were
// taken away without a word, machines and all: nothing is ever heard of them again. Nodes
// of other clusters are waited for, since their agents may go on with the work.
func (c *cluster) whileThere(ctx context.Context, settings record.Cluster, nodes []string) (there context.Context, stop func()) {
	there, cancel := context.WithCancelCause(ctx)
	if settings.Priority != string(compute.LowPriority) {
		return there, func() { cancel(nil) }
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		silent := map[string]time.Time{} // since when, by node
		for pause.For(there, c.opts.takenAfter/10) {
			asked := time.Now()
			unanswered := c.unanswered(there, settings, nodes)
			for _, n := range nodes {
				switch why := unanswered[n]; {
				case why == nil:
					delete(silent, n)
				case silent[n].IsZero():
					silent[n] = asked
				case time.Since(silent[n]) > c.opts.takenAfter && c.beaten(c.opts.TakeOver): // else another may schedule, and reach them
					cancel(fmt.Errorf("%w: nothing was heard of node %s for %s, it was taken away: %w", azml.ErrUnavailable, n, time.Since(silent[n]).Round(time.Second), why))
					return
				}
			}
		}
	}()
	return there, func() { cancel(nil); <-ended }
}

// unanswered asks the nodes, all at once, and gives the errors of those that do not answer.
func (c *cluster) unanswered(ctx context.Context, settings record.Cluster, nodes []string) map[string]error {
	var asked sync.WaitGroup
	var mu sync.Mutex
	unanswered := map[string]error{}
	for _, n := range nodes {
		asked.Go(func() {
			if err := c.answers(ctx, compute.MemberOf(settings, n).Target); errors.Is(err, azml.ErrUnavailable) {
				mu.Lock()
				defer mu.Unlock()
				unanswered[n] = err
			}
		})
	}
	asked.Wait()
	return unanswered
}

// answers is check, whose answer comes soon: targets are patient with a way that is cut.
func (c *cluster) answers(ctx context.Context, target string) error {
	return within(ctx, c.opts.takenAfter/2, func(ctx context.Context) error { return c.check(ctx, target, backend.Limits{}) })
}

// within gives something so much time. Errors: ErrUnavailable when that was too short.
func within(ctx context.Context, limit time.Duration, do func(context.Context) error) error {
	limited, stop := context.WithTimeout(ctx, limit)
	defer stop()
	err := do(limited)
	if limited.Err() != nil && ctx.Err() == nil && err != nil {
		return fmt.Errorf("%w: it was not done within %s: %w", azml.ErrUnavailable, limit, err)
	}
	return err
}

// takenAway has a run wait for other nodes whose own were taken away, or are unfit, unless
// it has others already, and gives its agents, which may go on with the work there. Errors:
// ErrConflict when one has kept the run, as it got it just then or works on nodes that are
// unfit for a beginning.
func (c *cluster) takenAway(ctx context.Context, id string, nodes []string, why error) (left []*record.Agent, err error) {
	stored, err := history.Get(ctx, c.h, id)
	if errors.Is(err, azml.ErrNotFound) {
		return nil, nil
	}
	r := stored.Value
	if err != nil || r.Agent == nil || !slices.Equal(r.Agent.Nodes, nodes) {
		return nil, err
	}
	_, begins := errors.AsType[unfit](why)
	switch {
	case !r.Agent.Adopted:
		err = c.unplace(ctx, r)
	case !begins:
		err = agent.Finish(ctx, c.h, id, false, why.Error())
	}
	if err != nil {
		return nil, err
	}
	left = []*record.Agent{r.Former, r.Agent}
	stored, err = history.Get(ctx, c.h, id) // who was slower than others has changed nothing
	if errors.Is(err, azml.ErrNotFound) {
		return left, nil
	}
	if now := stored.Value; err == nil && !now.Status.Terminal() && now.Agent != nil && now.Agent.Job == r.Agent.Job {
		err = fmt.Errorf("%w: the run is %s, and its agent has it still", azml.ErrConflict, now.Status)
	}
	return left, err
}

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
	return c.within(ctx, func(ctx context.Context) error { return c.check(ctx, target, backend.Limits{}) })
}

// within gives something a part of the time after which a node that does not answer was taken
// away. Errors: ErrUnavailable when that was too short.
func (c *cluster) within(ctx context.Context, do func(context.Context) error) error {
	asking, stop := context.WithTimeout(ctx, c.opts.takenAfter/2)
	defer stop()
	err := do(asking)
	if asking.Err() != nil && ctx.Err() == nil && err != nil {
		return fmt.Errorf("%w: no answer within %s: %w", azml.ErrUnavailable, c.opts.takenAfter/2, err)
	}
	return err
}

// takenAway has a run wait for other nodes whose own were taken away, unless it has others
// already, and gives its agent, which may go on with the work there. Errors: ErrConflict
// when that has kept the run, as it got it just then.
func (c *cluster) takenAway(ctx context.Context, id string, nodes []string, why error) (left *record.Agent, err error) {
	stored, err := history.Get(ctx, c.h, id)
	if errors.Is(err, azml.ErrNotFound) {
		return nil, nil
	}
	left = stored.Value.Agent
	if err != nil || left == nil || !slices.Equal(left.Nodes, nodes) {
		return nil, err
	}
	if left.Adopted {
		err = agent.Finish(ctx, c.h, id, false, why.Error())
	} else {
		err = c.unplace(ctx, stored.Value)
	}
	if err != nil {
		return nil, err
	}
	stored, err = history.Get(ctx, c.h, id) // who was slower than others has changed nothing
	if errors.Is(err, azml.ErrNotFound) {
		return left, nil
	}
	if now := stored.Value; err == nil && !now.Status.Terminal() && now.Agent != nil && now.Agent.Job == left.Job {
		err = fmt.Errorf("%w: the run is %s, and its agent has it still", azml.ErrConflict, now.Status)
	}
	return left, err
}

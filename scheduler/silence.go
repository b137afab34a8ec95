package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/history"
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
		var silent time.Time // since when
		for sleep(there, c.opts.takenAfter/10) {
			asked := time.Now()
			why := c.unanswered(there, settings, nodes)
			switch {
			case why == nil:
				silent = time.Time{}
			case silent.IsZero():
				silent = asked
			case time.Since(silent) > c.opts.takenAfter && c.beaten(c.opts.TakeOver): // else another may schedule, and reach them
				cancel(fmt.Errorf("%w: nothing was heard of a node for %s, it was taken away: %w", azml.ErrUnavailable, time.Since(silent).Round(time.Second), why))
				return
			}
		}
	}()
	return there, func() { cancel(nil); <-ended }
}

// unanswered gives the error of a node that does not answer, nil when all do.
func (c *cluster) unanswered(ctx context.Context, settings record.Cluster, nodes []string) error {
	for _, n := range nodes {
		if err := c.answers(ctx, compute.MemberOf(settings, n).Target); errors.Is(err, azml.ErrUnavailable) {
			return fmt.Errorf("node %s: %w", n, err)
		}
	}
	return nil
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
		return fmt.Errorf("%w: no answer within %s", azml.ErrUnavailable, c.opts.takenAfter/2)
	}
	return err
}

// takenAway has a run wait for other nodes whose own were taken away, unless it has others
// already.
func (c *cluster) takenAway(ctx context.Context, id string, nodes []string, why error) error {
	stored, err := history.Get(ctx, c.h, id)
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	if a := stored.Value.Agent; err != nil || a == nil || strings.Join(a.Nodes, " ") != strings.Join(nodes, " ") {
		return err
	}
	if !stored.Value.Agent.Adopted {
		return c.unplace(ctx, stored.Value)
	}
	return agent.Finish(ctx, c.h, id, false, why.Error())
}

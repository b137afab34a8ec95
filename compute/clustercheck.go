package compute

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scheduler"
)

// checkCluster tells whether runs get nodes of the cluster.
func (t *Target) checkCluster(ctx context.Context, opts *CheckOptions) error {
	current, err := core.Get[record.Compute](ctx, t.h, ref(t.Name()).Key)
	if err != nil {
		return err
	}
	if why := Held(current.Value); why != "" {
		return fmt.Errorf("%w: %s", azml.ErrConflict, why)
	}
	state, err := core.Get[record.ClusterState](ctx, t.h, StateRef(t.Name()).Key)
	if err != nil && !errors.Is(err, azml.ErrNotFound) {
		return err
	}
	var all error
	for _, m := range t.record.Cluster.Members {
		if m.Start != "" && isOff(state.Value, m.Target) {
			continue
		}
		member, err := NewClient(t.h).Get(ctx, m.Target, nil)
		if err == nil {
			err = member.Check(ctx, opts)
		}
		all = errors.Join(all, err)
	}
	return errors.Join(all, t.awaitBeat(ctx, state.Value.Beat))
}

// isOff tells whether no node of a target is started.
func isOff(s record.ClusterState, target string) bool {
	for _, n := range s.Nodes {
		if strings.HasPrefix(n.ID, target+"/") && (n.State == string(scheduler.Idle) || n.State == string(scheduler.Running)) {
			return false
		}
	}
	return true
}

// awaitBeat waits for the scheduler's next sign of life, for longer than one takes that is
// to take the place of another which has died.
func (t *Target) awaitBeat(ctx context.Context, last int64) error {
	const patience, every = 20 * time.Second, 100 * time.Millisecond
	for began := time.Now(); time.Since(began) < patience; {
		state, err := core.Get[record.ClusterState](ctx, t.h, StateRef(t.Name()).Key)
		if err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
		if state.Value.Beat != last {
			return nil
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("%w: no scheduler was heard of for %s, and runs wait: run azml scheduler", azml.ErrUnavailable, patience)
}

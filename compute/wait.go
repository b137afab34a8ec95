package compute

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/azml-go/azml"
)

// WaitOptions are the options of Target.Wait.
type WaitOptions struct {
	// MinNodes is how many nodes must be started, the cluster's minimum when zero.
	MinNodes int
}

// Wait waits until a cluster has a number of nodes started, and looks every half second.
// It starts none: its scheduler does, up to the cluster's minimum, and beyond while runs
// wait. Errors: ErrInvalid for a target that is no cluster and for more nodes than the
// cluster may have, ErrConflict for one that is stopped or being deleted, ErrFailed when
// nodes are unusable, with the reasons, ErrNotFound, and the error of ctx when that ends.
func (t *Target) Wait(ctx context.Context, opts *WaitOptions) (err error) {
	defer t.h.Operation(&ctx, &err, "wait for", kind, t.Name())()
	if opts == nil {
		opts = &WaitOptions{}
	}
	const every = 500 * time.Millisecond
	seen := "its nodes were not looked at yet"
	for {
		started, wanted, err := t.started(ctx, opts.MinNodes)
		switch {
		case err != nil && ctx.Err() == nil:
			return err
		case err == nil && started >= wanted:
			return nil
		case err == nil:
			seen = fmt.Sprintf("%d of %d nodes are started", started, wanted)
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", seen, context.Cause(ctx))
		}
	}
}

// started gives how many nodes are started, and how many are waited for: nodes, the
// cluster's minimum when zero. It tells why there will not be so many.
func (t *Target) started(ctx context.Context, nodes int) (started, wanted int, err error) {
	current, state, err := t.read(ctx)
	if err != nil {
		return 0, 0, err
	}
	s := statusOf(current.Value.Cluster, state)
	started, wanted = s.CurrentNodeCount, cmp.Or(nodes, s.MinNodes)
	switch held := Held(current.Value); {
	case wanted < 0 || wanted > s.MaxNodes:
		err = fmt.Errorf("%w: the cluster can have between 0 and %d nodes, and %d are waited for", azml.ErrInvalid, s.MaxNodes, wanted)
	case started >= wanted:
	case held != "":
		err = fmt.Errorf("%w: %s: it starts no nodes", azml.ErrConflict, held)
	case len(s.Errors) > 0:
		err = fmt.Errorf("%w: %d of %d nodes are started: %s", azml.ErrFailed, started, wanted, strings.Join(s.Errors, "; "))
	}
	return started, wanted, err
}

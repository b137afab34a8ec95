package compute

import (
	"context"
	"fmt"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// UpdateOptions are the options of Client.Update. What is nil stays as it is.
type UpdateOptions struct {
	// MinNodes is how many nodes are always started.
	MinNodes *int
	// MaxNodes is how many are started at most. Nodes beyond stop when their runs
	// have ended.
	MaxNodes *int
	// IdleBeforeScaleDown is how long a node that nothing needs stays, in whole seconds;
	// it stops at once with zero or NoIdle.
	IdleBeforeScaleDown *time.Duration
}

// Update changes how a cluster scales; its scheduler follows within seconds. What
// changes nothing writes nothing, and leaves no line in the audit log. Errors: ErrNotFound, ErrInvalid for numbers that can't be and for targets that
// are no cluster.
func (c *Client) Update(ctx context.Context, name string, opts *UpdateOptions) (_ *Target, err error) {
	defer c.h.Operation(&ctx, &err, "update", kind, name)()
	if opts == nil {
		opts = &UpdateOptions{}
	}
	if err := core.ComputeName.Check(name); err != nil {
		return nil, err
	}
	stored, err := core.Update(ctx, c.h, ref(name), core.Updated("scale"), func(r *record.Compute) error {
		if r.Cluster == nil {
			return fmt.Errorf("%w: it is a target of type %s and no cluster", azml.ErrInvalid, r.Type)
		}
		changed, err := opts.apply(*r.Cluster)
		if err != nil {
			return err
		}
		if before := r.Cluster; changed.MinNodes == before.MinNodes && changed.MaxNodes == before.MaxNodes && changed.IdleSeconds == before.IdleSeconds {
			return core.ErrNoChange
		}
		r.Cluster = &changed
		return nil
	})
	if err != nil {
		return nil, known(err)
	}
	return &Target{c.h, stored.Value}, nil
}

// apply gives the settings as they are to be.
func (o *UpdateOptions) apply(c record.Cluster) (_ record.Cluster, err error) {
	if o.MinNodes != nil {
		c.MinNodes = *o.MinNodes
	}
	if o.MaxNodes != nil {
		c.MaxNodes = *o.MaxNodes
	}
	if o.IdleBeforeScaleDown != nil {
		if c.IdleSeconds, err = idleSeconds(*o.IdleBeforeScaleDown); err != nil {
			return c, err
		}
	}
	total := 0
	for _, m := range c.Members {
		total += m.Nodes
	}
	return c, checkScale(&c, total)
}

// hold stops a cluster, or starts it again.
func (t *Target) hold(ctx context.Context, stopped bool) error {
	detail := "start"
	if stopped {
		detail = "stop"
	}
	_, err := core.Update(ctx, t.h, ref(t.Name()), core.Updated(detail), func(r *record.Compute) error {
		switch {
		case r.Cluster == nil:
			return fmt.Errorf("%w: it is a target of type %s now and no cluster", azml.ErrInvalid, r.Type)
		case r.Cluster.Stopped == stopped:
			return core.ErrNoChange
		}
		changed := *r.Cluster
		changed.Stopped, r.Cluster = stopped, &changed
		return nil
	})
	return err
}

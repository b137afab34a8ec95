package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// Client finds, lists and deletes runs of a workspace. It is safe for
// concurrent use.
type Client struct{ h core.Handle }

// GetOptions are the options of Client.Get; there are none so far.
type GetOptions struct{}

// Get finds the run of that ID, of any experiment. A run whose process is gone
// becomes Failed with that reason. Errors: ErrNotFound, ErrInvalid.
func (c *Client) Get(ctx context.Context, id string, _ *GetOptions) (_ *Run, err error) {
	defer c.h.Operation(&ctx, &err, "get", kind, id)()
	stored, err := history.Get(ctx, c.h, id)
	if err != nil {
		return nil, err
	}
	if stored, err = agent.Reap(ctx, c.h, stored); err != nil {
		return nil, err
	}
	return Wrap(c.h, stored), nil
}

// ListOptions are the options of Client.List. All conditions must hold.
type ListOptions struct {
	// Experiment keeps the runs of one experiment.
	Experiment string
	// Status keeps runs of these statuses.
	Status []Status
	// Type keeps runs of this type.
	Type string
	// Tags keeps runs that have all these tags; an empty value matches any.
	Tags map[string]string
	// Properties keeps runs that have all these properties; an empty value
	// matches any.
	Properties map[string]string
	// Parent keeps the direct children of this run.
	Parent string
	// Root keeps this run and all runs below it.
	Root string
	// TopLevel leaves out runs that are children of another.
	TopLevel bool
	// Deleted shows runs that an MLflow client has deleted, too: they can be
	// restored. By default they are left out.
	Deleted bool
}

// List yields runs, the newest first. Runs whose process is gone become Failed
// on the way. It reads the records of all runs of the experiment, or of the
// workspace, before it yields the first.
func (c *Client) List(ctx context.Context, opts *ListOptions) iter.Seq2[*Run, error] {
	if opts == nil {
		opts = &ListOptions{}
	}
	return func(yield func(*Run, error) bool) {
		all, err := c.read(ctx, opts)
		if err != nil {
			core.Wrap(&err, "list", kind, opts.Experiment)
			yield(nil, err)
			return
		}
		for _, stored := range all {
			stored, err := agent.Reap(ctx, c.h, stored)
			if errors.Is(err, azml.ErrNotFound) || err == nil && !opts.match(stored.Value) {
				continue
			}
			if err != nil {
				core.Wrap(&err, "list", kind, stored.Value.ID)
				yield(nil, err)
				return
			}
			if !yield(Wrap(c.h, stored), nil) {
				return
			}
		}
	}
}

// ListPage gives one page of List: up to size runs after the one that token
// stands for, and the token of the next page, empty at the end.
func (c *Client) ListPage(ctx context.Context, token string, size int, opts *ListOptions) (_ []*Run, next string, err error) {
	defer c.h.Operation(&ctx, &err, "list", kind, "")()
	return core.Page(c.List(ctx, opts), pageKey, func(key, token string) bool { return key < token }, token, size)
}

// pageKey orders runs as List does: by the time of creation, then by ID.
func pageKey(r *Run) string {
	return r.record().Created.UTC().Format("2006-01-02T15:04:05.000000000") + " " + r.id
}

// read reads the records that may match, the newest first.
func (c *Client) read(ctx context.Context, opts *ListOptions) ([]core.Stored[record.Run], error) {
	var all []core.Stored[record.Run]
	for id, err := range c.ids(ctx, opts.Experiment) {
		if err != nil {
			return nil, err
		}
		stored, err := history.Get(ctx, c.h, id)
		if errors.Is(err, azml.ErrNotFound) {
			continue // deleted, or its creation was cut off before the record
		}
		if err != nil {
			return nil, err
		}
		if opts.mayMatch(stored.Value) {
			all = append(all, stored)
		}
	}
	slices.SortFunc(all, func(a, b core.Stored[record.Run]) int {
		return cmp.Or(b.Value.Created.Compare(a.Value.Created), strings.Compare(b.Value.ID, a.Value.ID))
	})
	// Two numbers name one run when its ID was used again after a deletion, or
	// by two at once of whom one failed.
	return slices.CompactFunc(all, func(a, b core.Stored[record.Run]) bool { return a.Value.ID == b.Value.ID }), nil
}

// ids yields the IDs of the runs of an experiment, or of all.
func (c *Client) ids(ctx context.Context, experiment string) iter.Seq2[string, error] {
	if experiment == "" {
		return c.h.Children(ctx, history.Prefix)
	}
	return func(yield func(string, error) bool) {
		if err := core.ExperimentName.Check(experiment); err != nil {
			yield("", err)
			return
		}
		for number, err := range core.Numbers[record.RunNumber](ctx, c.h, history.Numbers(experiment)) {
			if !yield(number.Value.RunID, err) || err != nil {
				return
			}
		}
	}
}

// match tells whether the run fits all conditions.
func (o *ListOptions) match(r record.Run) bool {
	return o.mayMatch(r) && (len(o.Status) == 0 || slices.Contains(o.Status, Status(r.Status)))
}

// mayMatch is match but for the status, which can change on the way.
func (o *ListOptions) mayMatch(r record.Run) bool {
	return (o.Experiment == "" || r.Experiment == o.Experiment) && (o.Type == "" || r.Type == o.Type) &&
		(o.Parent == "" || r.Parent == o.Parent) && (o.Root == "" || r.Root == o.Root) && (!o.TopLevel || r.Parent == "") &&
		(o.Deleted || r.Deleted.IsZero()) &&
		core.HasLabels(r.Tags, o.Tags) && core.HasLabels(r.Properties, o.Properties)
}

// DeleteOptions are the options of Client.Delete; there are none so far.
type DeleteOptions struct{}

// Delete removes an ended run, or the copy of one that goes on in another
// workspace, with its metrics and logs; its files go with the
// next garbage collection, unless a model or something else has them. Its
// number is not given again. A delete that is cut off can be repeated. Another
// run may get the ID at once: what processes that know the deleted one still log
// to it never comes to that run, and goes with a garbage collection. Errors:
// ErrNotFound; ErrConflict while the run goes on.
func (c *Client) Delete(ctx context.Context, id string, _ *DeleteOptions) (err error) {
	defer c.h.Operation(&ctx, &err, "delete", kind, id)()
	r, err := c.Get(ctx, id, nil)
	if err != nil {
		return err
	}
	if rec := r.record(); !rec.Status.Terminal() && !rec.Elsewhere() {
		return fmt.Errorf("%w: the run is %s: cancel it first", azml.ErrConflict, r.Status())
	}
	if err := c.h.Audit(ctx, "delete", history.Ref(id), "", func() error { return r.remove(ctx) }); err != nil {
		return err
	}
	if err := history.DiscardMetrics(ctx, c.h, r.record()); err != nil {
		c.h.Logger().WarnContext(ctx, "metrics of a deleted run stay on this machine until a garbage collection", "run", id, "error", err)
	}
	return nil
}

// remove deletes the objects and then the record.
func (r *Run) remove(ctx context.Context) error {
	// The record goes last: as long as it is there, the delete can be repeated.
	// Before that it looks again: a sealing of metrics may have left something.
	for {
		keys, err := history.Keys(ctx, r.h, r.record())
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			break
		}
		// What is numbered goes from the end, so that no gap is ever seen.
		for _, key := range slices.Backward(keys) {
			if err := r.h.Objects().Delete(ctx, key, &backend.DeleteOptions{}); err != nil && !errors.Is(err, azml.ErrNotFound) {
				return err
			}
		}
	}
	r.mu.Lock()
	etag := r.stored.ETag
	r.mu.Unlock()
	return r.h.Objects().Delete(ctx, history.Ref(r.id).Key, &backend.DeleteOptions{IfMatch: etag})
}

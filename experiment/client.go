package experiment

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

const kind = "experiment"

// Client finds, creates and deletes experiments of a workspace. It is safe for
// concurrent use.
type Client struct{ h core.Handle }

// CreateOptions are the options of Client.CreateOrUpdate.
type CreateOptions struct {
	// Description is free text of at most 5,000 characters; empty leaves it as
	// it is.
	Description string
	// Tags are added to the experiment's tags, or replace their values.
	Tags map[string]string
}

// CreateOrUpdate finds the experiment of that name or creates it, and sets
// what the options give. An archived experiment becomes active again. Names
// are 1 to 255 letters, digits, "_" or "-", the first a letter or digit.
// Errors: ErrInvalid.
func (c *Client) CreateOrUpdate(ctx context.Context, name string, opts *CreateOptions) (_ *Experiment, err error) {
	defer c.h.Operation(&ctx, &err, "create", kind, name)()
	if opts == nil {
		opts = &CreateOptions{}
	}
	if err := core.ExperimentName.Check(name); err != nil {
		return nil, err
	}
	fresh := record.Experiment{ID: core.NewUUID(), Name: name}
	if _, err := opts.apply(&fresh); err != nil {
		return nil, err
	}
	there, err := history.Experiment(ctx, c.h, name)
	if errors.Is(err, azml.ErrNotFound) {
		var created core.Stored[record.Experiment]
		if created, err = core.Create(ctx, c.h, ref(name), fresh); err == nil {
			return wrap(c.h, created), nil
		}
	}
	if err != nil && !errors.Is(err, azml.ErrExists) {
		return nil, err
	}
	if there.Value.Name != "" {
		name = there.Value.Name // it may have been found by another name
	}
	stored, err := core.Update(ctx, c.h, ref(name), core.Updated("description, tags or archive state"), func(e *record.Experiment) error {
		changed, err := opts.apply(e)
		if err == nil && !changed {
			return core.ErrNoChange
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return wrap(c.h, stored), nil
}

// apply sets what the options give and tells whether that changed anything.
func (o *CreateOptions) apply(e *record.Experiment) (changed bool, err error) {
	if !e.Archived.IsZero() {
		e.Archived, changed = core.When(false, e.Archived), true
	}
	if o.Description != "" && o.Description != e.Description {
		e.Description, changed = o.Description, true
	}
	if tags := core.ChangeLabels(e.Tags, o.Tags, nil); !maps.Equal(tags, e.Tags) {
		e.Tags, changed = tags, true
	}
	return changed, check(e)
}

func check(e *record.Experiment) error {
	if err := core.CheckText("description", e.Description); err != nil {
		return err
	}
	return core.CheckExperimentTags(e.Tags)
}

// GetOptions are the options of Client.Get; there are none so far.
type GetOptions struct{}

// Get finds the experiment of that name, archived or not; also by a name that
// an MLflow client has given it later. Errors: ErrNotFound, ErrInvalid.
func (c *Client) Get(ctx context.Context, name string, _ *GetOptions) (_ *Experiment, err error) {
	defer c.h.Operation(&ctx, &err, "get", kind, name)()
	stored, err := history.Experiment(ctx, c.h, name)
	if err != nil {
		return nil, err
	}
	return wrap(c.h, stored), nil
}

// View says which experiments a list shows.
type View int

// The views of a list.
const (
	// ActiveOnly shows experiments that are not archived.
	ActiveOnly View = iota
	// ArchivedOnly shows archived experiments.
	ArchivedOnly
	// All shows both.
	All
)

// ListOptions are the options of Client.List. All conditions must hold.
type ListOptions struct {
	// View says whether archived experiments are shown; they are not by default.
	View View
	// Tags keeps experiments that have all these tags; an empty value matches any.
	Tags map[string]string
}

// List yields experiments by name. It reads one record per experiment.
func (c *Client) List(ctx context.Context, opts *ListOptions) iter.Seq2[*Experiment, error] {
	if opts == nil {
		opts = &ListOptions{}
	}
	return func(yield func(*Experiment, error) bool) {
		for stored, err := range history.Experiments(ctx, c.h) {
			if err != nil {
				core.Wrap(&err, "list", kind, "")
				yield(nil, err)
				return
			}
			if opts.match(stored.Value) && !yield(wrap(c.h, stored), nil) {
				return
			}
		}
	}
}

func (o *ListOptions) match(e record.Experiment) bool {
	archived := !e.Archived.IsZero()
	return core.HasLabels(e.Tags, o.Tags) && (o.View == All || archived == (o.View == ArchivedOnly))
}

// DeleteOptions are the options of Client.Delete; there are none so far.
type DeleteOptions struct{}

// Delete removes an experiment that has no runs, and deletes the models that
// MLflow clients have logged in it. Errors: ErrNotFound,
// ErrConflict when it has runs.
func (c *Client) Delete(ctx context.Context, name string, _ *DeleteOptions) (err error) {
	defer c.h.Operation(&ctx, &err, "delete", kind, name)()
	e, err := c.Get(ctx, name, nil)
	if err != nil {
		return err
	}
	if err := c.unused(ctx, e.Name()); err != nil {
		return err
	}
	if err := core.Delete(ctx, c.h, ref(e.Name()), e.stored.ETag); err != nil {
		return err
	}
	// A run that was created meanwhile looks for the experiment after it is
	// stored, and we look for runs after we deleted: one of the two sees the
	// other.
	if err := c.unused(ctx, e.Name()); err != nil {
		_, restoreErr := core.Create(ctx, c.h, ref(e.Name()), e.stored.Value)
		if errors.Is(restoreErr, azml.ErrExists) {
			restoreErr = nil
		}
		return errors.Join(err, restoreErr)
	}
	return errors.Join(c.forgetNames(ctx, e.Name()), history.DeleteLoggedModels(ctx, c.h, e.Name()))
}

// forgetNames frees the other names of an experiment that was deleted.
func (c *Client) forgetNames(ctx context.Context, name string) error {
	for alias, err := range history.Aliases(ctx, c.h, name) {
		if err != nil {
			return err
		}
		if err := core.Delete(ctx, c.h, ref(alias.Value.Name), alias.ETag); err != nil {
			return err
		}
	}
	return nil
}

// unused gives an error when the experiment has runs.
func (c *Client) unused(ctx context.Context, name string) error {
	for number, err := range core.Numbers[record.RunNumber](ctx, c.h, history.Numbers(name)) {
		if err != nil {
			return err
		}
		if _, err := history.Get(ctx, c.h, number.Value.RunID); !errors.Is(err, azml.ErrNotFound) {
			return fmt.Errorf("%w: it has runs: delete them first, or archive the experiment", azml.ErrConflict)
		}
	}
	return nil
}

func ref(name string) core.Ref { return history.ExperimentRef(name) }

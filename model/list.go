package model

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// ListOptions are the options of Client.List. All conditions must hold.
type ListOptions struct {
	// Name keeps the versions of one model only.
	Name string
	// Tags keeps models that have all these tags; an empty value matches any.
	Tags map[string]string
	// Properties keeps models that have all these properties; an empty value
	// matches any.
	Properties map[string]string
	// RunID keeps models registered from this run.
	RunID string
	// Framework keeps models of this framework.
	Framework string
	// Latest keeps only the highest version of each name.
	Latest bool
}

// List yields models by name, the versions of each from the newest to the
// oldest. It reads one record per version.
func (c *Client) List(ctx context.Context, opts *ListOptions) iter.Seq2[*Model, error] {
	if opts == nil {
		opts = &ListOptions{}
	}
	return func(yield func(*Model, error) bool) {
		fail := func(err error) {
			core.Wrap(&err, "list", kind, opts.Name)
			yield(nil, err)
		}
		for name, err := range c.names(ctx, opts.Name) {
			if err != nil {
				fail(err)
				return
			}
			for stored, err := range core.Numbers[record.Model](ctx, c.h, versions(name)) {
				if err != nil {
					fail(err)
					return
				}
				if !stored.Value.Deleted.IsZero() {
					continue
				}
				if opts.match(stored.Value) && !yield(wrap(c.h, stored), nil) {
					return
				}
				if opts.Latest {
					break
				}
			}
		}
	}
}

// ListPage gives one page of List: up to size models after the one that token
// stands for, and the token of the next page, empty at the end. It reads the
// records from the beginning of the list again.
func (c *Client) ListPage(ctx context.Context, token string, size int, opts *ListOptions) (_ []*Model, next string, err error) {
	defer c.h.Operation(&ctx, &err, "list", kind, "")()
	return core.Page(c.List(ctx, opts), func(m *Model) string { return m.ID() }, idAfter, token, size)
}

// idAfter tells whether the model comes after the other in List's order, which
// for names is that of the keys: "a-b/…" before "a/…".
func idAfter(id, other string) bool {
	name, version, err1 := ParseID(id)
	otherName, otherVersion, err2 := ParseID(other)
	if err1 != nil || err2 != nil || name != otherName {
		return name+"/" > otherName+"/"
	}
	return version < otherVersion
}

func (c *Client) names(ctx context.Context, only string) iter.Seq2[string, error] {
	if only == "" {
		return c.h.Children(ctx, prefix)
	}
	return func(yield func(string, error) bool) { yield(only, core.ModelName.Check(only)) }
}

func (o *ListOptions) match(m record.Model) bool {
	return core.HasLabels(m.Tags, o.Tags) && core.HasLabels(m.Properties, o.Properties) &&
		(o.RunID == "" || m.RunID == o.RunID) && (o.Framework == "" || m.Framework == o.Framework)
}

// Delete marks the version as deleted: it is found and listed no more and its
// number is never given again; its files go with the next garbage collection,
// unless something else has them. A version that an endpoint serves can't be
// deleted. Errors: ErrNotFound, ErrConflict naming the endpoint.
func (c *Client) Delete(ctx context.Context, name string, version int, _ *DeleteOptions) (err error) {
	if version == Latest {
		err = fmt.Errorf("%w: name the version to delete", azml.ErrInvalid)
		core.Wrap(&err, "delete", kind, name)
		return err
	}
	ref := versions(name).Ref(version)
	defer c.h.Operation(&ctx, &err, "delete", kind, ref.Name)()
	if _, err := c.Get(ctx, name, version, nil); err != nil {
		return err
	}
	if err := c.unused(ctx, ref.Name); err != nil {
		return err
	}
	if err := c.setDeleted(ctx, ref, true); err != nil {
		return err
	}
	// An endpoint writes its record before it looks whether its models are
	// there, and we look after we wrote: one of the two sees the other.
	if err := c.unused(ctx, ref.Name); err != nil {
		return errors.Join(err, c.setDeleted(ctx, ref, false))
	}
	return nil
}

func (c *Client) setDeleted(ctx context.Context, ref core.Ref, deleted bool) error {
	note := core.Note{Op: "delete"}
	if !deleted {
		note = core.Updated("restored: an endpoint began to serve it")
	}
	_, err := core.Update(ctx, c.h, ref, note, func(m *record.Model) error {
		if deleted == !m.Deleted.IsZero() {
			return core.ErrNoChange
		}
		m.Deleted = core.When(deleted, c.h.Now())
		return nil
	})
	return err
}

// unused gives an error that names an endpoint which serves the model.
func (c *Client) unused(ctx context.Context, id string) error {
	name, err := core.ServedBy(ctx, c.h, id)
	if err != nil || name == "" {
		return err
	}
	return fmt.Errorf("%w: endpoint %q serves it: delete the endpoint first", azml.ErrConflict, name)
}

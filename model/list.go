package model

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
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
	// Dataset keeps models that were made with this version of a dataset, given as
	// "name:version".
	Dataset string
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
			for stored, err := range core.Numbers[record.Model](ctx, c.h, registry.Versions(name)) {
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

// names yields the names of models that have versions.
func (c *Client) names(ctx context.Context, only string) iter.Seq2[string, error] {
	if only == "" {
		return c.h.Folders(ctx, registry.Prefix)
	}
	return func(yield func(string, error) bool) {
		name, err := only, core.ModelName.Check(only)
		if err == nil {
			var m core.Stored[record.RegisteredModel]
			if m, err = registry.Find(ctx, c.h, only); err == nil {
				name = m.Value.Name
			}
		}
		if !errors.Is(err, azml.ErrNotFound) {
			yield(name, err)
		}
	}
}

func (o *ListOptions) match(m record.Model) bool {
	return core.HasLabels(m.Tags, o.Tags) && core.HasLabels(m.Properties, o.Properties) &&
		(o.RunID == "" || m.RunID == o.RunID) && (o.Framework == "" || m.Framework == o.Framework) &&
		(o.Dataset == "" || slices.ContainsFunc(m.Datasets, func(d record.DatasetReference) bool { return d.Dataset == o.Dataset }))
}

// Delete marks the version as deleted: it is found and listed no more and its
// number is never given again; its files go with the next garbage collection,
// unless something else has them, and aliases of it are taken away. A version
// that an endpoint serves can't be deleted. Errors: ErrNotFound, ErrConflict naming the endpoint.
func (c *Client) Delete(ctx context.Context, name string, version int, _ *DeleteOptions) (err error) {
	if version == Latest {
		err = fmt.Errorf("%w: name the version to delete", azml.ErrInvalid)
		core.Wrap(&err, "delete", kind, name)
		return err
	}
	defer c.h.Operation(&ctx, &err, "delete", kind, registry.Versions(name).Ref(version).Name)()
	return registry.DeleteVersion(ctx, c.h, name, version)
}

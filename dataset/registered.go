package dataset

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/record"
)

// Latest as a version means the highest one that is not deleted.
const Latest = 0

func wrap(h core.Handle, stored core.Stored[record.Dataset]) *Dataset {
	return &Dataset{h: h, def: stored.Value.Definition, stored: &stored}
}

// wrapped is wrap for a record that was read.
func (c *Client) wrapped(stored core.Stored[record.Dataset], err error) (*Dataset, error) {
	if err == nil && !stored.Value.Deleted.IsZero() {
		err = fmt.Errorf("%w: it was deleted", azml.ErrNotFound)
	}
	if err == nil {
		err = check(stored.Value.Definition)
	}
	if err != nil {
		return nil, err
	}
	return wrap(c.h, stored), nil
}

// GetOptions are the options of Client.Get; there are none so far.
type GetOptions struct{}

// Get finds a version of the dataset; version Latest (0) means the highest one that
// is not deleted. Errors: ErrNotFound, ErrInvalid.
func (c *Client) Get(ctx context.Context, name string, version int, _ *GetOptions) (_ *Dataset, err error) {
	id := name
	if version != Latest {
		id = core.DatasetVersions(name).Ref(version).Name
	}
	defer c.h.Operation(&ctx, &err, "get", kind, id)()
	if err := core.DatasetName.Check(name); err != nil {
		return nil, err
	}
	if version < 0 {
		return nil, fmt.Errorf("%w: versions count from 1; 0 means the latest", azml.ErrInvalid)
	}
	if version != Latest {
		return c.wrapped(core.Get[record.Dataset](ctx, c.h, core.DatasetVersions(name).Key(version)))
	}
	for stored, err := range core.Numbers[record.Dataset](ctx, c.h, core.DatasetVersions(name)) {
		if err != nil || stored.Value.Deleted.IsZero() {
			return c.wrapped(stored, err)
		}
	}
	return nil, fmt.Errorf("%w: no version of it is registered", azml.ErrNotFound)
}

// GetByID finds the dataset that id names: "name:version", a name alone for its
// latest version, or the ID of a definition that was saved or registered. Errors:
// ErrNotFound, ErrInvalid.
func (c *Client) GetByID(ctx context.Context, id string, opts *GetOptions) (_ *Dataset, err error) {
	if IsID(id) {
		stored, err := core.Get[record.DatasetDefinition](ctx, c.h, definitionRef(id).Key)
		if err == nil {
			err = check(stored.Value.Definition)
		}
		if err != nil {
			core.Wrap(&err, "get", kind, id)
			return nil, err
		}
		return &Dataset{h: c.h, def: stored.Value.Definition}, nil
	}
	name, version, err := ParseID(id)
	if err != nil {
		core.Wrap(&err, "get", kind, id)
		return nil, err
	}
	return c.Get(ctx, name, version, opts)
}

// IsID tells whether the text has the form of a definition's ID.
func IsID(id string) bool {
	return len(id) == 32 && !slices.ContainsFunc([]byte(id), func(c byte) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') })
}

// ListOptions are the options of Client.List. All conditions must hold.
type ListOptions struct {
	// Name keeps the versions of one dataset only.
	Name string
	// Tags keeps datasets that have all these tags; an empty value matches any.
	Tags map[string]string
	// Latest keeps only the highest version of each name.
	Latest bool
}

// List yields registered datasets by name, the versions of each from the newest to
// the oldest. It reads one record per version.
func (c *Client) List(ctx context.Context, opts *ListOptions) iter.Seq2[*Dataset, error] {
	if opts == nil {
		opts = &ListOptions{}
	}
	return func(yield func(*Dataset, error) bool) {
		stopped := false
		err := c.each(ctx, opts, func(d *Dataset) bool {
			stopped = !yield(d, nil)
			return !stopped
		})
		if err != nil && !stopped {
			core.Wrap(&err, "list", kind, opts.Name)
			yield(nil, err)
		}
	}
}

func (c *Client) each(ctx context.Context, opts *ListOptions, give func(*Dataset) bool) error {
	names := c.h.Folders(ctx, core.DatasetPrefix)
	if opts.Name != "" {
		if err := core.DatasetName.Check(opts.Name); err != nil {
			return err
		}
		names = func(yield func(string, error) bool) { yield(opts.Name, nil) }
	}
	for name, err := range names {
		if err != nil {
			return err
		}
		for stored, err := range core.Numbers[record.Dataset](ctx, c.h, core.DatasetVersions(name)) {
			if err != nil {
				return err
			}
			if !stored.Value.Deleted.IsZero() {
				continue
			}
			if core.HasLabels(stored.Value.Tags, opts.Tags) {
				d, err := c.wrapped(stored, nil)
				if err != nil {
					return fmt.Errorf("%s:%d: %w", name, stored.Value.Version, err)
				}
				if !give(d) {
					return nil
				}
			}
			if opts.Latest {
				break
			}
		}
	}
	return nil
}

// ListPage gives one page of List: up to size datasets after the one that token
// stands for, and the token of the next page, empty at the end.
func (c *Client) ListPage(ctx context.Context, token string, size int, opts *ListOptions) (_ []*Dataset, next string, err error) {
	defer c.h.Operation(&ctx, &err, "list", kind, "")()
	return core.Page(c.List(ctx, opts), (*Dataset).label, idAfter, token, size)
}

// idAfter tells whether the dataset comes after the other in List's order, which
// for names is that of the keys: "a-b/…" before "a/…".
func idAfter(id, other string) bool {
	name, version, err1 := ParseID(id)
	otherName, otherVersion, err2 := ParseID(other)
	if err1 != nil || err2 != nil || name != otherName {
		return name+"/" > otherName+"/"
	}
	return version < otherVersion
}

// Update says what to change about a registered dataset; zero fields leave things
// as they are.
type Update struct {
	// Description replaces the description, unless it is nil.
	Description *string
	// AddTags adds tags. One that is there with another value is ErrConflict.
	AddTags map[string]string
	// SetTags adds tags or replaces their values.
	SetTags map[string]string
	// RemoveTags removes tags; missing ones are passed over.
	RemoveTags []string
}

// Update changes description and tags of a registered dataset in one write, and
// gives the changed dataset. Errors: ErrInvalid when it is not registered,
// ErrNotFound when it was deleted, ErrConflict.
func (d *Dataset) Update(ctx context.Context, change Update) (_ *Dataset, err error) {
	defer d.h.Operation(&ctx, &err, "update", kind, d.label())()
	if d.stored == nil {
		return nil, fmt.Errorf("%w: it is not registered", azml.ErrInvalid)
	}
	stored, err := core.Update(ctx, d.h, core.DatasetVersions(d.Name()).Ref(d.Version()), core.Updated("description or tags"), func(r *record.Dataset) error {
		if !r.Deleted.IsZero() {
			return fmt.Errorf("%w: it was deleted", azml.ErrNotFound)
		}
		if change.Description != nil {
			r.Description = *change.Description
		}
		tags, err := core.AddLabels(maps.Clone(r.Tags), change.AddTags)
		if err != nil {
			return err
		}
		r.Tags = core.ChangeLabels(tags, change.SetTags, change.RemoveTags)
		check := RegisterOptions{Description: r.Description, Tags: r.Tags}
		return check.check(r.Name)
	})
	if err != nil {
		return nil, err
	}
	return wrap(d.h, stored), nil
}

// UnregisterOptions are the options of Client.Unregister; there are none so far.
type UnregisterOptions struct{}

// Unregister marks versions of the dataset as deleted: the one with the number, or
// all with version Latest (0). They are found and listed no more, and their
// numbers are never given again. The data stays where it is. Errors: ErrNotFound
// when there is none.
func (c *Client) Unregister(ctx context.Context, name string, version int, _ *UnregisterOptions) (err error) {
	defer c.h.Operation(&ctx, &err, "unregister", kind, name)()
	if err := core.DatasetName.Check(name); err != nil {
		return err
	}
	if version != Latest {
		return deleteVersion(ctx, c.h, name, version)
	}
	found := false
	for stored, err := range core.Numbers[record.Dataset](ctx, c.h, core.DatasetVersions(name)) {
		if err != nil {
			return err
		}
		if !stored.Value.Deleted.IsZero() {
			continue
		}
		found = true
		if err := deleteVersion(ctx, c.h, name, stored.Value.Version); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%w: no version of it is registered", azml.ErrNotFound)
	}
	return nil
}

// deleteVersion marks a version as deleted.
func deleteVersion(ctx context.Context, h core.Handle, name string, n int) error {
	_, err := core.Update(ctx, h, core.DatasetVersions(name).Ref(n), core.Note{Op: "delete"}, func(r *record.Dataset) error {
		if !r.Deleted.IsZero() {
			return fmt.Errorf("%w: it was deleted", azml.ErrNotFound)
		}
		r.Deleted = h.Now()
		return nil
	})
	return err
}

// SearchOptions are the options of Client.Search.
type SearchOptions struct {
	// OrderBy are keys to order by, such as "creation_timestamp DESC". Datasets
	// without a value come last in both directions. Then, and by default, they go
	// by name, the newest version first.
	OrderBy []string
}

// Search yields the versions of datasets of which the filter is true, such as
// "name = 'titanic' AND tags.stage != 'old'"; an empty one finds all.
// docs/search.md describes the language. It sees everything that was done when it
// began. Errors: ErrInvalid, saying where the filter or an order is wrong.
func (c *Client) Search(ctx context.Context, filter string, opts *SearchOptions) iter.Seq2[*Dataset, error] {
	return index.All(ctx, c.h, opts.request(filter), c.found)
}

// SearchPage gives one page of Search: up to size versions after those of the page
// that gave token, and the token of the next page, empty at the end. Errors:
// ErrInvalid, also for a token of another filter or order.
func (c *Client) SearchPage(ctx context.Context, filter, token string, size int, opts *SearchOptions) (_ []*Dataset, next string, err error) {
	return index.Some(ctx, c.h, opts.request(filter), token, size, c.found)
}

func (o *SearchOptions) request(text string) index.Request {
	r := index.Request{Kind: index.Datasets, Filter: text}
	if o != nil {
		r.OrderBy = o.OrderBy
	}
	return r
}

func (c *Client) found(hit index.Hit) (*Dataset, error) {
	stored, err := core.Restore[record.Dataset](hit.Key, hit.Record, hit.ETag)
	return c.wrapped(stored, err)
}

package endpoint

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/model"
)

const kind = "endpoint"

// Client deploys, finds, serves and deletes endpoints of a workspace. It is
// safe for concurrent use.
type Client struct{ h core.Handle }

func ref(name string) core.Ref {
	return core.Ref{Kind: kind, Name: name, Key: core.EndpointPrefix + name + ".json"}
}

// CreateOptions are the options of Client.Create.
type CreateOptions struct {
	// Settings are the endpoint's own; nil for the defaults.
	Settings *Settings
	// PrimaryKey is the primary key, 8 to 1,024 characters of ASCII without spaces; a random one when empty.
	PrimaryKey string
	// SecondaryKey is the secondary key, likewise, which must be another.
	SecondaryKey string
}

// Create makes an endpoint that serves nothing yet. Names are 3 to 32 lower-case
// letters, digits or "-", the first a letter, the last no "-". Errors:
// ErrInvalid, ErrExists.
func (c *Client) Create(ctx context.Context, name string, opts *CreateOptions) (_ *Endpoint, err error) {
	defer c.h.Operation(&ctx, &err, "create", kind, name)()
	if opts == nil {
		opts = &CreateOptions{}
	}
	draft, err := newRecord(name, opts.Settings)
	if err != nil {
		return nil, err
	}
	if err := c.checkKeys(ctx, name, Keys{opts.PrimaryKey, opts.SecondaryKey}); err != nil {
		return nil, err
	}
	stored, err := core.Create(ctx, c.h, ref(name), draft)
	if err != nil {
		return nil, err
	}
	if err := c.setKeys(ctx, &stored.Value, Keys{opts.PrimaryKey, opts.SecondaryKey}); err != nil {
		return nil, err
	}
	return wrap(c.h, stored, nil), nil
}

// newRecord gives the record of an endpoint that serves nothing.
func newRecord(name string, settings *Settings) (record.Endpoint, error) {
	if settings == nil {
		settings = &Settings{}
	}
	id := core.NewID(8)
	draft := record.Endpoint{ID: id, Name: name, Secret: "endpoint-" + id}
	if err := core.EndpointName.Check(name); err != nil {
		return draft, err
	}
	if err := settings.check(); err != nil {
		return draft, err
	}
	settings.fill(&draft)
	return draft, nil
}

// GetOptions are the options of Client.Get; there are none so far.
type GetOptions struct{}

// Get finds the endpoint of that name. One whose processes are gone is
// Unhealthy. Errors: ErrNotFound, ErrInvalid.
func (c *Client) Get(ctx context.Context, name string, _ *GetOptions) (_ *Endpoint, err error) {
	defer c.h.Operation(&ctx, &err, "get", kind, name)()
	if err := core.EndpointName.Check(name); err != nil {
		return nil, err
	}
	stored, err := core.Get[record.Endpoint](ctx, c.h, ref(name).Key)
	if err != nil {
		return nil, err
	}
	hosts, err := c.hostsOf(ctx, &stored.Value)
	if err != nil {
		return nil, err
	}
	return wrap(c.h, stored, hosts), nil
}

// hostsOf reads who serves the endpoint, the longest first.
func (c *Client) hostsOf(ctx context.Context, r *record.Endpoint) ([]record.EndpointHost, error) {
	hosts, err := c.hosts(ctx, r.Name)
	return slices.DeleteFunc(hosts, func(host record.EndpointHost) bool { return host.Endpoint != r.ID }), err
}

// hosts reads who serves the endpoint of that name, or served an earlier one, the
// longest first.
func (c *Client) hosts(ctx context.Context, name string) ([]record.EndpointHost, error) {
	var hosts []record.EndpointHost
	for stored, err := range core.EndpointHosts(ctx, c.h, name) {
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, stored.Value)
	}
	slices.SortFunc(hosts, func(a, b record.EndpointHost) int { return a.Created.Compare(b.Created) })
	return hosts, nil
}

// ListOptions are the options of Client.List. All conditions must hold.
type ListOptions struct {
	// ModelID keeps endpoints that serve this model, as "name:version".
	ModelID string
	// ModelName keeps endpoints that serve a version of this model.
	ModelName string
	// Tags keeps endpoints that have all these tags; an empty value matches any.
	Tags map[string]string
}

// List yields endpoints by name.
func (c *Client) List(ctx context.Context, opts *ListOptions) iter.Seq2[*Endpoint, error] {
	if opts == nil {
		opts = &ListOptions{}
	}
	return func(yield func(*Endpoint, error) bool) {
		for child, err := range c.h.Children(ctx, core.EndpointPrefix) {
			name, isRecord := strings.CutSuffix(child, ".json")
			if err == nil && !isRecord {
				continue
			}
			var e *Endpoint
			if err == nil {
				e, err = c.Get(ctx, name, nil)
			}
			if errors.Is(err, azml.ErrNotFound) || err == nil && !opts.match(e.stored.Value) {
				continue
			}
			core.Wrap(&err, "list", kind, "")
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (o *ListOptions) match(r record.Endpoint) bool {
	serves := func(id string) bool {
		name, _, _ := strings.Cut(id, ":")
		return (o.ModelID == "" || id == o.ModelID) && (o.ModelName == "" || name == o.ModelName)
	}
	all := o.ModelID == "" && o.ModelName == ""
	return (all || slices.ContainsFunc(r.Models(), serves)) && core.HasLabels(r.Tags, o.Tags)
}

// DeleteOptions are the options of Client.Delete; there are none so far.
type DeleteOptions struct{}

// Delete removes the endpoint with its keys and logs. The processes that serve
// it see that within a second; Delete waits for them, 10 seconds at most.
// Errors: ErrNotFound.
func (c *Client) Delete(ctx context.Context, name string, _ *DeleteOptions) (err error) {
	defer c.h.Operation(&ctx, &err, "delete", kind, name)()
	if err := core.EndpointName.Check(name); err != nil {
		return err
	}
	r, logs, err := c.deleteRecord(ctx, name)
	if err != nil {
		return err
	}
	if err := c.dropKeys(ctx, r); err != nil {
		return err
	}
	hosts, err := c.awaitEnd(ctx, r)
	if err != nil {
		return err
	}
	return c.deleteLogs(ctx, name, logs, hosts)
}

// deleteRecord deletes the record and gives what it was, with the keys of the logs
// that were there: they are of no endpoint that gets the name next.
func (c *Client) deleteRecord(ctx context.Context, name string) (*record.Endpoint, []string, error) {
	for {
		stored, err := core.Get[record.Endpoint](ctx, c.h, ref(name).Key)
		if err != nil {
			return nil, nil, err
		}
		logs, err := logKeys(ctx, c.h, name)
		if err != nil {
			return nil, nil, err
		}
		err = core.Delete(ctx, c.h, ref(name), stored.ETag)
		if !errors.Is(err, azml.ErrConflict) { // it has changed, or is another one
			return &stored.Value, logs, err
		}
	}
}

// deleteLogs deletes these logs, and what the hosts have written since.
func (c *Client) deleteLogs(ctx context.Context, name string, logs []string, hosts map[string]bool) error {
	now, err := logKeys(ctx, c.h, name)
	if err != nil {
		return err
	}
	for _, key := range now {
		if slices.Contains(logs, key) || hosts[hostOf(key)] {
			if err := c.removeBelow(ctx, key); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Client) removeBelow(ctx context.Context, prefix string) error {
	for info, err := range c.h.Objects().List(ctx, &backend.ListOptions{Prefix: prefix}) {
		if err != nil {
			return err
		}
		if err := c.h.Objects().Delete(ctx, info.Key, &backend.DeleteOptions{}); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
	}
	return nil
}

// models finds models by their IDs. Errors: ErrNotFound when one was deleted.
func (c *Client) models(ctx context.Context, ids []string) ([]*model.Model, error) {
	var models []*model.Model
	for _, id := range ids {
		name, version, err := model.ParseID(id)
		if err != nil {
			return nil, err
		}
		m, err := model.NewClient(c.h).Get(ctx, name, version, nil)
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", id, err)
		}
		models = append(models, m)
	}
	return models, nil
}

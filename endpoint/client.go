package endpoint

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/snapshot"
	"github.com/azml-go/azml/model"
)

const kind = "endpoint"

// Client deploys, finds, serves and deletes endpoints of a workspace. It is
// safe for concurrent use.
type Client struct{ h core.Handle }

func ref(name string) core.Ref {
	return core.Ref{Kind: kind, Name: name, Key: core.EndpointPrefix + name + ".json"}
}

// DeployOptions are the options of Client.Deploy and Client.Create.
type DeployOptions struct {
	// Overwrite replaces an endpoint of the same name that is being served;
	// its process stops serving it. One that is not served is replaced anyway.
	Overwrite bool
	// PrimaryKey is the primary key; a random one when empty.
	PrimaryKey string
	// SecondaryKey is the secondary key; a random one when empty.
	SecondaryKey string
}

// Deploy makes an endpoint and serves it in this process. It returns when the
// endpoint answers; it is served until Stop, Delete or the closing of the
// workspace. Names are 3 to 32 lower-case letters, digits or "-", the first a
// letter, the last no "-". When the start fails, the error says in which phase
// and why, with the last log lines, and the record is left as Failed. Errors:
// ErrInvalid, ErrExists when an endpoint of that name is being served,
// ErrNotFound for a deleted model, ErrFailed.
func (c *Client) Deploy(ctx context.Context, name string, config Config, opts *DeployOptions) (_ *Endpoint, err error) {
	defer c.h.Operation(&ctx, &err, "deploy", kind, name)()
	if _, err := c.Create(ctx, name, config, opts); err != nil {
		return nil, err
	}
	return c.Serve(ctx, name, &ServeOptions{Handler: config.Handler, HTTP: config.HTTP})
}

// Create makes an endpoint without serving it: its state is Stopped until a
// process calls Serve. Errors: as Deploy.
func (c *Client) Create(ctx context.Context, name string, config Config, opts *DeployOptions) (_ *Endpoint, err error) {
	defer c.h.Operation(&ctx, &err, "create", kind, name)()
	if opts == nil {
		opts = &DeployOptions{}
	}
	if err := core.EndpointName.Check(name); err != nil {
		return nil, err
	}
	if err := config.check(); err != nil {
		return nil, err
	}
	draft := record.Endpoint{Name: name}
	config.fill(&draft)
	draft.State, draft.Since = record.EndpointStopped, c.h.Now()
	if err := c.checkFree(ctx, name, opts); err != nil {
		return nil, err
	}
	if err := c.prepareScript(ctx, config.Script, &draft); err != nil {
		return nil, err
	}
	stored, err := c.put(ctx, draft, opts)
	if err != nil {
		return nil, err
	}
	// After the record: who loses a race for the name must not touch its keys.
	if err := c.setKeys(ctx, name, opts); err != nil {
		return nil, err
	}
	return wrap(c.h, stored), nil
}

// checkFree gives an error when an endpoint of that name is being served and
// must not be replaced, before anything is done.
func (c *Client) checkFree(ctx context.Context, name string, opts *DeployOptions) error {
	there, err := c.Get(ctx, name, nil)
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	if err == nil && there.stored.Value.Active() && !opts.Overwrite {
		return fmt.Errorf("%w: it is being served: stop it, or deploy with Overwrite", azml.ErrExists)
	}
	return err
}

// put creates the record or replaces that of an endpoint of the same name.
func (c *Client) put(ctx context.Context, draft record.Endpoint, opts *DeployOptions) (core.Stored[record.Endpoint], error) {
	stored, err := core.Create(ctx, c.h, ref(draft.Name), draft)
	if !errors.Is(err, azml.ErrExists) {
		return stored, err
	}
	return core.Update(ctx, c.h, ref(draft.Name), core.Updated("deployed anew"), func(r *record.Endpoint) error {
		if r.Active() && !c.h.Gone(r.Owner) && !opts.Overwrite {
			return fmt.Errorf("%w: it is being served: stop it, or deploy with Overwrite", azml.ErrExists)
		}
		meta, keys := r.Meta, r.KeyVersion
		*r = draft
		r.Meta, r.KeyVersion = meta, keys+1
		return nil
	})
}

// prepareScript checks a scoring script and keeps its folder and environment.
func (c *Client) prepareScript(ctx context.Context, s *Script, draft *record.Endpoint) error {
	if s == nil {
		return nil
	}
	entry := path.Clean(filepath.ToSlash(s.EntryScript))
	if s.EntryScript == "" || !filepath.IsLocal(filepath.FromSlash(entry)) || !strings.HasSuffix(entry, ".py") {
		return fmt.Errorf("%w: entry script %q: give a Python file relative to the source folder, inside it", azml.ErrInvalid, s.EntryScript)
	}
	source := s.Source
	if source == "" {
		source = "."
	}
	if info, err := os.Stat(filepath.Join(source, filepath.FromSlash(entry))); err != nil {
		return fmt.Errorf("entry script %q in source folder %q: %w", s.EntryScript, source, err)
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: entry script %q is no file", azml.ErrInvalid, s.EntryScript)
	}
	plan, err := snapshot.Scan(ctx, source, &snapshot.Options{Require: []string{entry}, Exclude: c.h.Private()})
	if err != nil {
		return err
	}
	// After all else was checked, for it may register the environment.
	env, err := environment.Resolve(ctx, c.h, s.Environment, true)
	if err != nil {
		return err
	}
	if draft.Source, _, _, err = snapshot.Take(ctx, c.h.Files(), plan, nil); err != nil {
		return err
	}
	draft.EntryScript = entry
	draft.Environment = &record.EnvironmentRef{Name: env.Name(), Version: env.Version(), Hash: env.Hash()}
	return nil
}

// GetOptions are the options of Client.Get; there are none so far.
type GetOptions struct{}

// Get finds the endpoint of that name. One whose process is gone is Unhealthy.
// Errors: ErrNotFound, ErrInvalid.
func (c *Client) Get(ctx context.Context, name string, _ *GetOptions) (_ *Endpoint, err error) {
	defer c.h.Operation(&ctx, &err, "get", kind, name)()
	if err := core.EndpointName.Check(name); err != nil {
		return nil, err
	}
	stored, err := core.Get[record.Endpoint](ctx, c.h, ref(name).Key)
	if err != nil {
		return nil, err
	}
	if stored.Value.Active() && c.h.Gone(stored.Value.Owner) {
		stored, err = c.markGone(ctx, stored)
	}
	return wrap(c.h, stored), err
}

// markGone notes that the serving process has ended.
func (c *Client) markGone(ctx context.Context, stored core.Stored[record.Endpoint]) (core.Stored[record.Endpoint], error) {
	lost := *stored.Value.Owner
	return core.Update(ctx, c.h, ref(stored.Value.Name), core.Updated("state Unhealthy"), func(r *record.Endpoint) error {
		if r.Owner == nil || r.Owner.ID != lost.ID || !r.Active() {
			return core.ErrNoChange
		}
		r.State, r.Since, r.URL = record.EndpointUnhealthy, c.h.Now(), ""
		r.Error = fmt.Sprintf("the process that served it (pid %d on %s) has ended", lost.PID, lost.Host)
		return nil
	})
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
	return (all || slices.ContainsFunc(r.Models, serves)) && core.HasLabels(r.Tags, o.Tags)
}

// DeleteOptions are the options of Client.Delete; there are none so far.
type DeleteOptions struct{}

// Delete removes the endpoint with its keys and logs. The process that serves
// it sees that within a second; Delete waits for it, 10 seconds at most. Errors:
// ErrNotFound.
func (c *Client) Delete(ctx context.Context, name string, _ *DeleteOptions) (err error) {
	defer c.h.Operation(&ctx, &err, "delete", kind, name)()
	e, err := c.Get(ctx, name, nil)
	if err != nil {
		return err
	}
	if err := core.Delete(ctx, c.h, ref(name), ""); err != nil {
		return err
	}
	e.awaitEnd(ctx, e.URL())
	for _, which := range []Key{PrimaryKey, SecondaryKey} {
		if err := c.h.Secrets().Delete(ctx, secretName(name, which)); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
	}
	for info, err := range c.h.Objects().List(ctx, &backend.ListOptions{Prefix: core.EndpointPrefix + name + "/"}) {
		if err != nil {
			return err
		}
		if err := c.h.Objects().Delete(ctx, info.Key, &backend.DeleteOptions{}); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
	}
	return nil
}

// models finds the models that the record names. Errors: ErrNotFound when one
// was deleted.
func (c *Client) models(ctx context.Context, r record.Endpoint) ([]*model.Model, error) {
	var models []*model.Model
	for _, id := range r.Models {
		name, version, err := model.ParseID(id)
		if err != nil {
			return nil, err
		}
		m, err := model.NewClient(c.h).Get(ctx, name, version, nil)
		if err != nil {
			return nil, err
		}
		models = append(models, m)
	}
	return models, nil
}

package model

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

const registeredKind = "registered model"

// Registered is a model as a whole, as it was last read: what its versions have
// in common. Methods that change it return the changed one; the receiver stays
// as it is. It is safe for concurrent use.
type Registered struct {
	h      core.Handle
	stored core.Stored[record.RegisteredModel]
}

// RegisteredDetails is what the record of a model as a whole says.
type RegisteredDetails struct {
	// Name is the model's name.
	Name string `json:"name"`
	// Title is the name by which MLflow clients know it, empty when that is Name.
	Title string `json:"title,omitempty"`
	// Description is free text.
	Description string `json:"description,omitempty"`
	// Tags are free labels that can change.
	Tags map[string]string `json:"tags,omitempty"`
	// Aliases are the versions that aliases point to.
	Aliases map[string]int `json:"aliases,omitempty"`
	// Created is when it was made: with its first version, or before.
	Created time.Time `json:"createdTime"`
	// CreatedBy is who made it.
	CreatedBy string `json:"createdBy"`
	// Modified is when it was last changed, or, to the second, a version of it
	// was registered, moved to another stage or deleted.
	Modified time.Time `json:"modifiedTime"`
}

// Name gives the model's name.
func (r *Registered) Name() string { return r.stored.Value.Name }

// Details gives a copy of the record.
func (r *Registered) Details() RegisteredDetails {
	m := r.stored.Value
	return RegisteredDetails{Name: m.Name, Title: m.Title, Description: m.Description, Tags: maps.Clone(m.Tags), Aliases: maps.Clone(m.Aliases),
		Created: m.Created, CreatedBy: m.CreatedBy, Modified: m.Modified}
}

// CreateRegisteredOptions are the options of Client.CreateRegistered.
type CreateRegisteredOptions struct {
	// Description is free text of at most 5,000 characters.
	Description string
	// Tags are free labels that can be changed later.
	Tags map[string]string
}

// CreateRegistered makes a model that has no version yet. Register does so by
// itself. The name of a model that was deleted can be used again; the numbers
// of its versions go on. Errors: ErrExists, ErrInvalid.
func (c *Client) CreateRegistered(ctx context.Context, name string, opts *CreateRegisteredOptions) (_ *Registered, err error) {
	defer c.h.Operation(&ctx, &err, "create", registeredKind, name)()
	if opts == nil {
		opts = &CreateRegisteredOptions{}
	}
	draft := record.RegisteredModel{Name: name, Description: opts.Description, Tags: maps.Clone(opts.Tags)}
	if err := checkRegistered(&draft); err != nil {
		return nil, err
	}
	return c.wrapRegistered(registry.Create(ctx, c.h, draft))
}

func checkRegistered(m *record.RegisteredModel) error {
	if err := core.CheckText("description", m.Description); err != nil {
		return err
	}
	return core.CheckModelTags(m.Tags)
}

// GetRegistered finds the model as a whole. Errors: ErrNotFound, ErrInvalid.
func (c *Client) GetRegistered(ctx context.Context, name string, _ *GetOptions) (_ *Registered, err error) {
	defer c.h.Operation(&ctx, &err, "get", registeredKind, name)()
	return c.wrapRegistered(registry.Find(ctx, c.h, name))
}

func (c *Client) wrapRegistered(stored core.Stored[record.RegisteredModel], err error) (*Registered, error) {
	if err != nil {
		return nil, err
	}
	return &Registered{c.h, stored}, nil
}

// ListRegisteredOptions are the options of Client.ListRegistered. All conditions
// must hold.
type ListRegisteredOptions struct {
	// Tags keeps models that have all these tags; an empty value matches any.
	Tags map[string]string
}

// ListRegistered yields the models as wholes by name, those without versions
// among them. It reads one record per model.
func (c *Client) ListRegistered(ctx context.Context, opts *ListRegisteredOptions) iter.Seq2[*Registered, error] {
	if opts == nil {
		opts = &ListRegisteredOptions{}
	}
	return func(yield func(*Registered, error) bool) {
		for stored, err := range registry.Registered(ctx, c.h) {
			if err != nil {
				core.Wrap(&err, "list", registeredKind, "")
				yield(nil, err)
				return
			}
			if core.HasLabels(stored.Value.Tags, opts.Tags) && !yield(&Registered{c.h, stored}, nil) {
				return
			}
		}
	}
}

// DeleteRegistered deletes the model with all its versions, see Delete. Errors:
// ErrNotFound; ErrConflict naming an endpoint that serves a version.
func (c *Client) DeleteRegistered(ctx context.Context, name string, _ *DeleteOptions) (err error) {
	defer c.h.Operation(&ctx, &err, "delete", registeredKind, name)()
	return registry.Delete(ctx, c.h, name)
}

// RegisteredUpdate says what to change about a model as a whole; zero fields
// leave things as they are.
type RegisteredUpdate struct {
	// Description replaces the description, unless it is nil.
	Description *string
	// SetTags adds tags or replaces their values.
	SetTags map[string]string
	// RemoveTags removes tags; missing ones are passed over.
	RemoveTags []string
}

// Update changes the model's description and tags in one write and gives the
// changed one. Errors: ErrNotFound when it was deleted, ErrInvalid.
func (r *Registered) Update(ctx context.Context, change RegisteredUpdate) (_ *Registered, err error) {
	defer r.h.Operation(&ctx, &err, "update", registeredKind, r.Name())()
	stored, err := registry.Update(ctx, r.h, r.Name(), core.Updated("description or tags"), func(m *record.RegisteredModel) error {
		if change.Description != nil {
			m.Description = *change.Description
		}
		m.Tags = core.ChangeLabels(m.Tags, change.SetTags, change.RemoveTags)
		return checkRegistered(m)
	})
	return NewClient(r.h).wrapRegistered(stored, err)
}

// SetAliasOptions are the options of Client.SetAlias; there are none so far.
type SetAliasOptions struct{}

// SetAlias points an alias to a version, wherever it pointed before: "champion"
// to what is in use, for instance. Aliases are 1 to 255 letters, digits, "_" or
// "-"; "latest" and "v" with a number are none. Deleting the version takes it
// away. Errors: ErrInvalid, ErrNotFound.
func (c *Client) SetAlias(ctx context.Context, name, alias string, version int, _ *SetAliasOptions) (err error) {
	defer c.h.Operation(&ctx, &err, "set alias of", kind, registry.Versions(name).Ref(version).Name)()
	return registry.SetAlias(ctx, c.h, name, alias, version)
}

// DeleteAlias takes an alias away. Errors: ErrNotFound when there is no such
// alias.
func (c *Client) DeleteAlias(ctx context.Context, name, alias string, _ *DeleteOptions) (err error) {
	defer c.h.Operation(&ctx, &err, "delete alias of", kind, name+"@"+alias)()
	m, err := registry.Find(ctx, c.h, name)
	if err != nil {
		return err
	}
	if _, there := m.Value.Aliases[alias]; !there {
		return fmt.Errorf("%w: it has no alias %q", azml.ErrNotFound, alias)
	}
	return registry.DeleteAlias(ctx, c.h, m.Value.Name, alias)
}

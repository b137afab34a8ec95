package datastore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

const (
	kind   = "datastore"
	prefix = "datastores/"
)

// Client registers, finds and unregisters the datastores of a workspace. It is
// safe for concurrent use.
type Client struct{ h core.Handle }

// RegisterOptions are the options of Client.Register.
type RegisterOptions struct {
	// Description is free text of at most 5,000 characters.
	Description string
	// Tags are free labels.
	Tags map[string]string
	// Overwrite replaces a datastore of the same name, its credentials
	// included.
	Overwrite bool
	// SkipValidation registers without connecting.
	SkipValidation bool
	// Create makes the folder, container or bucket when it is not there.
	Create bool
}

// Register stores how to reach data under a name of 1 to 255 letters, digits or
// "_". It first connects, and registers nothing when that fails. The
// credentials go to the secret store and nowhere else. Errors: ErrExists;
// ErrInvalid; ErrNotFound, ErrDenied and ErrUnavailable of the connection;
// ErrUnsupported when the workspace was opened without the driver of the kind.
func (c *Client) Register(ctx context.Context, name string, config Config, opts *RegisterOptions) (_ *Datastore, err error) {
	defer c.h.Operation(&ctx, &err, "register", kind, name)()
	if opts == nil {
		opts = &RegisterOptions{}
	}
	source, err := c.prepare(name, config, opts)
	if err != nil {
		return nil, err
	}
	if !opts.Overwrite { // before anything is connected to
		if _, err := c.h.Objects().Stat(ctx, ref(name).Key); err == nil {
			return nil, errTaken
		} else if !errors.Is(err, azml.ErrNotFound) {
			return nil, err
		}
	}
	if err := c.try(ctx, source, opts); err != nil {
		return nil, scrub(err, source.Credentials)
	}
	return c.store(ctx, record.Datastore{Name: name, Type: source.Type, Description: opts.Description, Tags: opts.Tags,
		Connection: source.Connection}, source.Credentials, opts.Overwrite)
}

// errTaken has Azure ML's words.
var errTaken = fmt.Errorf("%w: Another datastore with the same name already exists: choose another name, or overwrite it", azml.ErrExists)

// prepare checks what can be checked without connecting.
func (c *Client) prepare(name string, config Config, opts *RegisterOptions) (backend.DatastoreSource, error) {
	var none backend.DatastoreSource
	if reserved(name) {
		return none, fmt.Errorf("%w: the name %q is reserved, choose another", azml.ErrInvalid, name)
	}
	if err := core.DatastoreName.Check(name); err != nil {
		return none, err
	}
	if err := core.CheckText("description", opts.Description); err != nil {
		return none, err
	}
	if err := core.CheckLabels("tags", opts.Tags); err != nil {
		return none, err
	}
	if config == nil {
		return none, fmt.Errorf("%w: no configuration was given, use datastore.Folder{} or another", azml.ErrInvalid)
	}
	return config.Source()
}

// try opens the datastore, and connects to it unless that is not wanted.
func (c *Client) try(ctx context.Context, source backend.DatastoreSource, opts *RegisterOptions) (err error) {
	driver, err := driverOf(c.h, source.Type)
	if err != nil {
		return err
	}
	opened, err := driver.Open(ctx, source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	if opts.Create {
		creator, ok := opened.(backend.DatastoreCreator)
		if !ok {
			return fmt.Errorf("%w: the place of a datastore of type %s can't be created here", azml.ErrUnsupported, source.Type)
		}
		if err := creator.Create(ctx); err != nil {
			return err
		}
	}
	if opts.SkipValidation {
		return nil
	}
	return opened.Check(ctx)
}

// store writes the credentials under a new name and then the record that names
// them, so that both change in one write.
func (c *Client) store(ctx context.Context, r record.Datastore, credentials backend.Credentials, overwrite bool) (_ *Datastore, err error) {
	if r.Secret, err = core.KeepCredentials(ctx, c.h, SecretPrefix, credentials); err != nil {
		return nil, err
	}
	stored, err := core.Create(ctx, c.h, ref(r.Name), r)
	old := ""
	if errors.Is(err, azml.ErrExists) && overwrite {
		stored, err = core.Update(ctx, c.h, ref(r.Name), core.Updated("connection"), func(there *record.Datastore) error {
			old = there.Secret
			r.Meta = there.Meta
			*there = r
			return nil
		})
	}
	switch {
	case errors.Is(err, azml.ErrExists):
		err = errTaken
		old = r.Secret
	case err != nil && !errors.Is(err, azml.ErrUnavailable): // else it may have been stored
		old = r.Secret
	case err != nil:
		return nil, err
	}
	if dropErr := core.DropCredentials(ctx, c.h, old); dropErr != nil {
		c.h.Logger().WarnContext(ctx, "a secret that nothing needs any more was not deleted", "secret", old, "error", dropErr)
	}
	if err != nil {
		return nil, err
	}
	return &Datastore{h: c.h, record: stored.Value}, nil
}

// SecretPrefix begins the names of the secrets that hold credentials.
const SecretPrefix = "datastore-"

// GetOptions are the options of Client.Get. There are none yet.
type GetOptions struct{}

// Get finds the datastore of that name. It connects to nothing. Errors:
// ErrNotFound, ErrInvalid.
func (c *Client) Get(ctx context.Context, name string, _ *GetOptions) (_ *Datastore, err error) {
	defer c.h.Operation(&ctx, &err, "get", kind, name)()
	if name == OwnName {
		return own(c.h), nil
	}
	if err := core.DatastoreName.Check(name); err != nil {
		return nil, err
	}
	stored, err := core.Get[record.Datastore](ctx, c.h, ref(name).Key)
	if err != nil {
		return nil, err
	}
	return &Datastore{h: c.h, record: stored.Value}, nil
}

// ListOptions are the options of Client.List. There are none yet.
type ListOptions struct{}

// List yields the workspace's own datastore and then all others by name. It
// reads a record each and connects to nothing. Errors: ErrDamaged.
func (c *Client) List(ctx context.Context, _ *ListOptions) iter.Seq2[*Datastore, error] {
	return func(yield func(*Datastore, error) bool) {
		if !yield(own(c.h), nil) {
			return
		}
		for stored, err := range core.List[record.Datastore](ctx, c.h, prefix, nil) {
			if err != nil {
				core.Wrap(&err, "list", kind, "")
				yield(nil, err)
				return
			}
			if !yield(&Datastore{h: c.h, record: stored.Value}, nil) {
				return
			}
		}
	}
}

// UnregisterOptions are the options of Client.Unregister. There are none yet.
type UnregisterOptions struct{}

// Unregister forgets the datastore and deletes its credentials. The data stays
// untouched. Errors: ErrNotFound; ErrConflict for the default datastore, and
// when it was registered anew meanwhile; ErrInvalid for the workspace's own.
func (c *Client) Unregister(ctx context.Context, name string, _ *UnregisterOptions) (err error) {
	defer c.h.Operation(&ctx, &err, "unregister", kind, name)()
	if name == OwnName {
		return fmt.Errorf("%w: it is the workspace's own and always there", azml.ErrInvalid)
	}
	if err := core.DatastoreName.Check(name); err != nil {
		return err
	}
	stored, err := core.Get[record.Datastore](ctx, c.h, ref(name).Key)
	if err != nil {
		return err
	}
	standard, err := c.defaultName(ctx)
	if err != nil {
		return err
	}
	if standard == name {
		return fmt.Errorf("%w: it is the default datastore: set another one first", azml.ErrConflict)
	}
	if err := core.Delete(ctx, c.h, ref(name), stored.ETag); err != nil {
		return err
	}
	return core.DropCredentials(ctx, c.h, stored.Value.Secret)
}

func ref(name string) core.Ref {
	return core.Ref{Kind: kind, Name: name, Key: prefix + name + ".json"}
}

// driverOf gives the driver of the type. Errors: ErrUnsupported.
func driverOf(h core.Handle, kind string) (backend.DatastoreDriver, error) {
	if d := h.DatastoreDriver(kind); d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("%w: this program has no driver for datastores of type %s: give it to the workspace when it is opened (backend/%s, Datastores of workspace.OpenOptions)",
		azml.ErrUnsupported, kind, strings.ToLower(kind))
}

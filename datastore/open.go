package datastore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// connections are the datastores that this process has opened, each once. They
// end with the workspace.
type connections struct {
	mu     sync.Mutex
	opened map[string]*connection
}

// connection is an opened datastore with what must not be told of it.
type connection struct {
	mu          sync.Mutex // held while it is opened
	store       backend.Datastore
	credentials backend.Credentials
}

// Close closes all.
func (c *connections) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	for _, one := range c.opened {
		if one.store != nil {
			err = errors.Join(err, scrub(one.store.Close(), one.credentials))
		}
	}
	return err
}

// of gives the connection for a state of a record, not yet opened if it is new.
// Whoever registers a datastore anew writes another state.
func (c *connections) of(r record.Datastore) *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := r.Name + " " + r.Token
	if c.opened[key] == nil {
		c.opened[key] = &connection{}
	}
	return c.opened[key]
}

// open gives the opened datastore. Errors: ErrUnsupported, ErrNotFound when its
// credentials are gone, ErrClosed.
func (d *Datastore) open(ctx context.Context) (*connection, error) {
	all, err := core.Own(d.h, func(core.Handle) (*connections, error) {
		return &connections{opened: map[string]*connection{}}, nil
	})
	if err != nil {
		return nil, err
	}
	c := all.of(d.record)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.store != nil {
		return c, nil
	}
	if lent := d.h.Lent(); lent != nil {
		c.store = lent(d.Name())
		return c, nil
	}
	credentials, err := d.credentials(ctx)
	if err != nil {
		return nil, err
	}
	store, err := d.connect(ctx, credentials)
	if err != nil {
		return nil, scrub(err, credentials)
	}
	c.store, c.credentials = store, credentials
	return c, nil
}

func (d *Datastore) connect(ctx context.Context, credentials backend.Credentials) (backend.Datastore, error) {
	if d.record.Type == TypeWorkspace {
		return openOwn(d.h), nil
	}
	driver, err := driverOf(d.h, d.record.Type)
	if err != nil {
		return nil, err
	}
	store, err := driver.Open(ctx, backend.DatastoreSource{Type: d.record.Type, Connection: d.record.Connection, Credentials: credentials})
	if err != nil {
		return nil, err
	}
	if creator, ok := store.(backend.DatastoreCreator); ok && d.record.Name == OwnName {
		if err := creator.Create(ctx); err != nil { // the first use makes it
			return nil, errors.Join(err, store.Close())
		}
	}
	return store, nil
}

// credentials reads the credentials from the secret store.
func (d *Datastore) credentials(ctx context.Context) (backend.Credentials, error) {
	if d.record.Secret == "" {
		return nil, nil
	}
	text, err := d.h.Secrets().Get(ctx, d.record.Secret)
	if errors.Is(err, azml.ErrNotFound) {
		return nil, fmt.Errorf("%w: its credentials are gone: it was unregistered or registered anew, or register it again", azml.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	var credentials map[string]string
	if json.Unmarshal([]byte(text), &credentials) != nil { // its error would quote the secret
		return nil, fmt.Errorf("%w: its credentials in the secret %s can't be read: register it again", azml.ErrDamaged, d.record.Secret)
	}
	return credentials, nil
}

// withFiles does something with the files of the datastore. Errors:
// ErrUnsupported when it has none, those of open and do.
func (d *Datastore) withFiles(ctx context.Context, do func(backend.DataFiles) error) error {
	c, err := d.open(ctx)
	if err != nil {
		return err
	}
	files, ok := c.store.(backend.DataFiles)
	if !ok {
		return fmt.Errorf("%w: a datastore of type %s has no files, ask it by Query", azml.ErrUnsupported, d.record.Type)
	}
	return scrub(do(files), c.credentials)
}

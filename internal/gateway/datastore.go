package gateway

import (
	"context"
	"fmt"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/retrying"
)

// lent opens the datastores that the gateway lends.
func (c *Client) lent(retry *retrying.Options) func(name string) backend.Datastore {
	return func(name string) backend.Datastore {
		far := c.Datastore(name)
		return lentStore{retrying.New(far, retry), far}
	}
}

// lentStore is a datastore behind a gateway.
type lentStore struct {
	backend.DataFiles
	backend.DataTables
}

var _ backend.Datastore = lentStore{}

// Check implements backend.Datastore.
func (lentStore) Check(context.Context) error {
	return fmt.Errorf("%w: a run on another machine uses its data, and can't check the datastore", azml.ErrUnsupported)
}

// Close implements backend.Datastore. The connections are the workspace's.
func (lentStore) Close() error { return nil }

package datastore

import (
	"context"

	"github.com/azml-go/azml/internal/core"
)

// NewClient is for package workspace.
func NewClient(h core.Handle) *Client { return &Client{h} }

// Lookup is for packages that use data: it finds the datastore by name, the
// default one when the name is empty.
func Lookup(ctx context.Context, h core.Handle, name string) (*Datastore, error) {
	c := NewClient(h)
	if name == "" {
		return c.Default(ctx, nil)
	}
	return c.Get(ctx, name, nil)
}

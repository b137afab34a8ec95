package datastore

import (
	"context"
	"strings"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// NewClient is for package workspace.
func NewClient(h core.Handle) *Client { return &Client{h} }

// Lookup is for packages that use data: it finds the datastore by name, the
// default one when the name is empty. The address of a web server, such as
// "https://example.org", is a datastore without a name and without credentials.
func Lookup(ctx context.Context, h core.Handle, name string) (*Datastore, error) {
	c := NewClient(h)
	switch {
	case name == "":
		return c.Default(ctx, nil)
	case strings.Contains(name, "://"):
		return &Datastore{h: h, record: record.Datastore{Name: name, Type: TypeHTTP, Connection: map[string]string{"url": name}}}, nil
	}
	return c.Get(ctx, name, nil)
}

// Lend is for packages that let others use the data of a datastore without its
// credentials. It finds the datastore as Lookup does.
func Lend(ctx context.Context, h core.Handle, name string) (Lent, error) {
	d, err := Lookup(ctx, h, name)
	return Lent{d}, err
}

package gateway

import (
	"context"

	"github.com/azml-go/azml/backend"
)

// Scope says what a token reaches. Its methods give nil, or an error (ErrDenied)
// that says what is not allowed. They are safe for concurrent use.
type Scope interface {
	// Read is asked before an object is read or described.
	Read(ctx context.Context, key string) error
	// Put is asked before an object is written.
	Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) error
	// Append is asked before an object grows.
	Append(ctx context.Context, key string) error
	// Delete is asked before an object is removed.
	Delete(ctx context.Context, key string) error
	// Listed tells whether a list shows the key, or the common prefix.
	Listed(ctx context.Context, key string) bool
	// Secret is asked before a secret is read.
	Secret(name string) error
	// Datastore gives the datastore with the name, which refuses by itself what is
	// not allowed.
	Datastore(ctx context.Context, name string) (Datastore, error)
}

// Datastore is a datastore as a run reaches it.
type Datastore interface {
	backend.DataFiles
	backend.DataTables
}

// DataScope is the part of a run's scope that is about data: the records of
// datasets and datastores, and what is in the datastores. Its methods are as
// those of Scope, for keys of such records.
type DataScope interface {
	// Read is asked before a record is read.
	Read(ctx context.Context, key string) error
	// Put is asked before a record is written.
	Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) error
	// Listed tells whether a list shows the key.
	Listed(ctx context.Context, key string) bool
	// Datastore gives the datastore with the name, as far as the run may use it.
	Datastore(ctx context.Context, name string) (Datastore, error)
}

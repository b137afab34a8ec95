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
}

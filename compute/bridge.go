package compute

import (
	"context"

	"github.com/azml-go/azml/internal/core"
)

// NewClient is for package workspace.
func NewClient(h core.Handle) *Client { return &Client{h} }

// Lookup is for packages that start something on a target: it finds the target
// by name, "local" when the name is empty.
func Lookup(ctx context.Context, h core.Handle, name string) (*Target, error) {
	if name == "" {
		name = LocalName
	}
	return NewClient(h).Get(ctx, name, nil)
}

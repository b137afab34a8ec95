package environment

import (
	"context"

	"github.com/azml-go/azml/internal/core"
)

// NewClient is for package workspace.
func NewClient(h core.Handle) *Client { return &Client{h} }

// Resolve is for packages that start something in an environment: a reference
// is looked up, anything else is registered.
func Resolve(ctx context.Context, h core.Handle, spec Spec) (*Environment, error) {
	if spec.IsReference() {
		return NewClient(h).Get(ctx, spec.Name, spec.Version, nil)
	}
	return NewClient(h).Register(ctx, spec, nil)
}

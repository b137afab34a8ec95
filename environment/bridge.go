package environment

import (
	"context"
	"maps"
	"slices"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// NewClient is for package workspace.
func NewClient(h core.Handle) *Client { return &Client{h} }

// Resolve is for packages that start something in an environment: a reference
// is looked up, anything else is registered. Here says that it is started on this
// machine itself, which refuses an environment that begins with an image.
func Resolve(ctx context.Context, h core.Handle, spec Spec, here bool) (*Environment, error) {
	c := NewClient(h)
	resolved, err := c.resolve(ctx, spec)
	if err == nil && here {
		err = refuseImage(resolved)
	}
	switch {
	case err != nil:
		return nil, err
	case spec.IsReference():
		return &Environment{resolved}, nil
	}
	return c.Register(ctx, spec, nil)
}

// SameContent is for packages that have records: it tells whether a and b describe
// the same environment.
func SameContent(a, b record.Environment) bool {
	return a.Hash == b.Hash && maps.Equal(a.Variables, b.Variables) &&
		a.Python.UserManaged == b.Python.UserManaged && a.Python.InterpreterPath == b.Python.InterpreterPath &&
		slices.Equal(a.Python.Channels, b.Python.Channels)
}

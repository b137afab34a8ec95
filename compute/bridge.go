package compute

import (
	"context"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/program"
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

// MaxNodes is for packages that start something on a target: how many nodes it has
// at most.
func MaxNodes(t *Target) int {
	if t.record.Cluster == nil {
		return 1
	}
	return t.record.Cluster.MaxNodes
}

// Open is for packages that start something on a target which is not this
// machine. The caller closes what it gives. Errors: ErrUnsupported without a
// driver of its type, ErrNotFound when its credentials are gone.
func Open(ctx context.Context, t *Target) (backend.OpenedCompute, error) {
	source, err := t.source(ctx)
	if err != nil {
		return nil, err
	}
	return openSource(ctx, t.h, source)
}

// Program is for packages that start something on a target: it gives the file of
// the program azml for a platform. Errors: ErrNotFound with what to do.
func Program(ctx context.Context, h core.Handle, on backend.Platform) (string, error) {
	f, err := finder(h)
	if err != nil {
		return "", err
	}
	return f.Find(ctx, on)
}

// ProgramHere is Program for what is started on this machine itself.
func ProgramHere(ctx context.Context, h core.Handle) (string, error) {
	f, err := finder(h)
	if err != nil {
		return "", err
	}
	return f.FindHere(ctx)
}

func finder(h core.Handle) (*program.Finder, error) {
	return core.Own(h, func(h core.Handle) (*program.Finder, error) {
		return &program.Finder{Chosen: h.Program(), CacheDir: h.CacheDir()}, nil
	})
}

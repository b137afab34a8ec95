package compute

import (
	"context"
	"os"

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
	if t.record.Cluster != nil {
		return t.record.Cluster.MaxNodes
	}
	if several, ok := t.h.ComputeDriver(t.record.Type).(backend.MultiNode); ok {
		return several.MaxNodes()
	}
	return 1
}

// Open is for packages that start something on a target which is not this
// machine. The caller closes what it gives, which is shared with others of this
// workspace who use it at that time. Errors: ErrUnsupported without a driver of its
// type, ErrNotFound when its credentials are gone, ErrClosed.
func Open(ctx context.Context, t *Target) (backend.OpenedCompute, error) { return open(ctx, t) }

// Program is for packages that start something on a target: it gives the file of
// the program azml for a platform. Errors: ErrNotFound with what to do.
func Program(ctx context.Context, h core.Handle, on backend.Platform) (string, error) {
	f, err := finder(h)
	if err != nil {
		return "", err
	}
	return f.Find(ctx, on)
}

// Agent is Program for who needs no more than an agent and jobs.
func Agent(ctx context.Context, h core.Handle, on backend.Platform) (string, error) {
	f, err := finder(h)
	if err != nil {
		return "", err
	}
	return f.FindAgent(ctx, on)
}

// unpacker gives the file of azml-unpack for a platform. Errors: ErrNotFound.
func unpacker(ctx context.Context, h core.Handle, on backend.Platform) (string, error) {
	f, err := finder(h)
	if err != nil {
		return "", err
	}
	return f.FindUnpacker(ctx, on)
}

// ProgramHere is Program for what is started on this machine itself.
func ProgramHere(ctx context.Context, h core.Handle) (string, error) {
	f, err := finder(h)
	if err != nil {
		return "", err
	}
	return f.FindHere(ctx)
}

// ProgramDigest is for packages that put a program somewhere: it gives the SHA-256 of
// its file, in hexadecimal, which is read when it has changed.
func ProgramDigest(h core.Handle, file *os.File) (string, error) {
	f, err := finder(h)
	if err != nil {
		return "", err
	}
	return f.Digest(file)
}

func finder(h core.Handle) (*program.Finder, error) {
	return core.Own(h, func(h core.Handle) (*program.Finder, error) {
		return &program.Finder{Chosen: h.Program(), CacheDir: h.CacheDir()}, nil
	})
}

package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/workspace"
)

// space is a workspace in a scratch folder whose requests are counted.
type space struct {
	*workspace.Workspace
	calls *faulty.Objects
	local *localfs.Store
}

// newSpace makes a workspace. A plan of no faults only counts.
func (b *bench) newSpace(ctx context.Context) (*space, error) { return b.newSpaceOf(ctx, nil) }

// newSpaceOf makes a workspace that knows these kinds of compute targets.
func (b *bench) newSpaceOf(ctx context.Context, computes []backend.ComputeDriver) (*space, error) {
	dir, err := b.sub("workspace")
	if err != nil {
		return nil, err
	}
	local, err := localfs.New(filepath.Join(dir, "objects"), nil)
	if err != nil {
		return nil, err
	}
	s := &space{calls: faulty.New(local, faulty.Plan{}), local: local}
	s.Workspace, err = workspace.Create(ctx, workspace.Config{Objects: s.calls, Secrets: memory.NewSecrets(),
		Name: "bench", CacheDir: filepath.Join(dir, "cache"), Computes: computes})
	return s, err
}

// writes is the number of durable writes so far.
func (s *space) writes() int {
	c := s.calls.Counts()
	return c.Put + c.Append + c.Delete
}

// reads is the number of other requests so far.
func (s *space) reads() int {
	c := s.calls.Counts()
	return c.Get + c.Stat + c.List
}

// count gives the numbers of writes and other requests of one op.
func (s *space) count(ctx context.Context, op func(ctx context.Context) error) (writes, reads int, err error) {
	writes, reads = s.writes(), s.reads()
	err = op(ctx)
	return s.writes() - writes, s.reads() - reads, err
}

// closeTime bounds the wait for runs that a failure has left open.
const closeTime = 5 * time.Second

// close closes the workspace.
func (s *space) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
	defer cancel()
	_ = s.Close(ctx) // its folder goes, whatever is in it
	_ = s.local.Close()
}

package mirror

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/files"
)

// contents are the files that some things need, brought together, so that their
// chunks travel in few objects.
type contents struct {
	mu    sync.Mutex
	found map[string]*files.Manifest // by ID
	bad   map[string]error           // manifests that can't be had whole
}

// bringContents brings the contents of manifests, and then the manifests. What the
// source can't give is no error; check tells of it.
func (s *syncer) bringContents(ctx context.Context, ids []string) (*contents, error) {
	c := &contents{found: map[string]*files.Manifest{}, bad: map[string]error{}}
	if len(ids) == 0 {
		return c, nil
	}
	if err := c.read(ctx, s, ids); err != nil {
		return nil, err
	}
	if s.opts.DryRun {
		return c, s.estimate(ctx, c.list())
	}
	for range tries {
		err := c.transfer(ctx, s)
		if !errors.Is(err, azml.ErrConflict) {
			return c, err
		}
	}
	return nil, fmt.Errorf("%w: files were deleted again and again while they were brought", azml.ErrConflict)
}

// read reads the manifests.
func (c *contents) read(ctx context.Context, s *syncer, ids []string) error {
	unique := map[string]bool{}
	for _, id := range ids {
		unique[id] = true
	}
	return each(ctx, keysOf(unique), func(ctx context.Context, id string) error {
		m, err := s.src.Files().Manifest(ctx, id)
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case err == nil:
			c.found[id] = m
		case damage(err) || errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid):
			c.bad[id] = fmt.Errorf("%w: %w", azml.ErrDamaged, err)
		default:
			return err
		}
		return nil
	})
}

func (c *contents) list() []*files.Manifest {
	list := make([]*files.Manifest, 0, len(c.found))
	for _, m := range c.found {
		list = append(list, m)
	}
	return list
}

// estimate counts the chunks that would be brought, each once in all of a dry run.
func (s *syncer) estimate(ctx context.Context, list []*files.Manifest) (err error) {
	s.estimating.Lock()
	defer s.estimating.Unlock()
	if s.estimated == nil {
		if s.estimated, err = s.dst.Files().NewTransfer(ctx, s.src.Files()); err != nil {
			return err
		}
		defer s.estimated.Abort() // it only counts
	}
	chunks, bytes, err := s.estimated.Lacking(ctx, list...)
	s.note(func(r *Report) { r.Chunks, r.ChunkBytes = r.Chunks+chunks, r.ChunkBytes+bytes })
	return err
}

// transfer brings the chunks and then the manifests.
func (c *contents) transfer(ctx context.Context, s *syncer) error {
	t, err := s.dst.Files().NewTransfer(ctx, s.src.Files())
	if err != nil {
		return err
	}
	defer t.Abort()
	if err := t.Add(ctx, c.list()...); err != nil {
		return err
	}
	stats, err := t.Commit(ctx)
	if err != nil {
		return err
	}
	s.note(func(r *Report) { r.Chunks, r.ChunkBytes = r.Chunks+stats.NewChunks, r.ChunkBytes+stats.NewBytes })
	for id, m := range c.found {
		if err := t.Check(m); err != nil {
			c.bad[id] = err
			delete(c.found, id)
		}
	}
	whole := make([]string, 0, len(c.found))
	for id := range c.found {
		whole = append(whole, id)
	}
	return each(ctx, whole, func(ctx context.Context, id string) error {
		_, err := s.dst.Files().PutManifest(ctx, c.found[id])
		return err
	})
}

// check gives an error of class ErrDamaged when one of the manifests can't be had
// whole.
func (c *contents) check(ids []string) error {
	for _, id := range ids {
		if err := c.bad[id]; err != nil {
			return fmt.Errorf("%w: %w", azml.ErrDamaged, err)
		}
	}
	return nil
}

package gateway

import (
	"context"
	"iter"

	"github.com/azml-go/azml/backend"
)

// scoped is the objects of the workspace within a scope.
type scoped struct {
	objects backend.Objects
	scope   Scope
}

var _ backend.DataFiles = scoped{}

// Get implements backend.DataFiles.
func (s scoped) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if err := s.scope.Read(ctx, key); err != nil {
		return nil, err
	}
	return s.objects.Get(ctx, key, opts)
}

// Put implements backend.DataFiles.
func (s scoped) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if err := s.scope.Put(ctx, key, content, opts); err != nil {
		return backend.Info{}, err
	}
	return s.objects.Put(ctx, key, content, opts)
}

// Stat implements backend.DataFiles.
func (s scoped) Stat(ctx context.Context, key string) (backend.Info, error) {
	if err := s.scope.Read(ctx, key); err != nil {
		return backend.Info{}, err
	}
	return s.objects.Stat(ctx, key)
}

// Delete implements backend.DataFiles.
func (s scoped) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	if err := s.scope.Delete(ctx, key); err != nil {
		return err
	}
	return s.objects.Delete(ctx, key, opts)
}

// List implements backend.DataFiles.
func (s scoped) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		for info, err := range s.objects.List(ctx, opts) {
			if err == nil && !s.scope.Listed(ctx, info.Key) {
				continue
			}
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

package rundata

import (
	"context"
	"fmt"
	"iter"
	"strconv"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/gateway"
)

// scopedStore is a datastore as far as a run reaches it.
type scopedStore struct {
	s     *Scope
	name  string
	in    *dataset.Reach
	store datastore.Lent
}

var _ gateway.Datastore = scopedStore{}

func (d scopedStore) denied(what, path string) error {
	return d.s.denied(what, strconv.Quote(path)+" of datastore "+d.name)
}

func (d scopedStore) reads(path string) bool {
	return d.in.File(d.name, path) || d.s.out.File(d.name, path)
}

// Get implements backend.DataFiles.
func (d scopedStore) Get(ctx context.Context, path string, opts *backend.GetOptions) (*backend.Object, error) {
	if !d.reads(path) {
		return nil, d.denied("read", path)
	}
	return d.store.Get(ctx, path, opts)
}

// Stat implements backend.DataFiles.
func (d scopedStore) Stat(ctx context.Context, path string) (backend.Info, error) {
	if !d.reads(path) {
		return backend.Info{}, d.denied("read", path)
	}
	return d.store.Stat(ctx, path)
}

// Put implements backend.DataFiles. What an output may not replace it creates.
func (d scopedStore) Put(ctx context.Context, path string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if d.s.owner(d.name, path) == nil || !opts.IfNoneMatch && !d.s.replaces(d.name, path) {
		return backend.Info{}, d.denied("write", path)
	}
	info, err := d.store.Put(ctx, path, content, opts)
	if err == nil {
		d.s.noteStored(d.name, path)
	}
	return info, err
}

// Delete implements backend.DataFiles.
func (d scopedStore) Delete(ctx context.Context, path string, opts *backend.DeleteOptions) error {
	if !d.s.replaces(d.name, path) {
		return d.denied("delete", path)
	}
	return d.store.Delete(ctx, path, opts)
}

// List implements backend.DataFiles. It leaves out what the run does not reach.
func (d scopedStore) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		if !d.in.List(d.name, opts.Prefix) && !d.s.out.List(d.name, opts.Prefix) {
			yield(backend.Info{}, d.denied("list", opts.Prefix))
			return
		}
		for info, err := range d.store.List(ctx, opts) {
			if err == nil && !d.reads(info.Key) {
				continue
			}
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

// Query implements backend.DataTables.
func (d scopedStore) Query(ctx context.Context, query string, args ...any) (backend.Table, error) {
	if len(args) > 0 || !d.in.Query(d.name, query) {
		return nil, fmt.Errorf("%w: run %s may not ask the datastore %s this query", azml.ErrDenied, d.s.run.ID, d.name)
	}
	return d.store.Query(ctx, query)
}

package datastore

import (
	"context"
	"iter"

	"github.com/azml-go/azml/backend"
)

// Lent is the data of a datastore for who may not have its credentials: no error
// and no value that it gives holds one. A kind without files or without tables
// gives ErrUnsupported. It is safe for concurrent use.
type Lent struct{ d *Datastore }

var (
	_ backend.Datastore  = Lent{}
	_ backend.DataFiles  = Lent{}
	_ backend.DataTables = Lent{}
)

// Get implements backend.DataFiles.
func (l Lent) Get(ctx context.Context, path string, opts *backend.GetOptions) (object *backend.Object, err error) {
	err = l.d.withFiles(ctx, func(files backend.DataFiles) (err error) {
		object, err = files.Get(ctx, path, opts)
		return about(path, err)
	})
	return object, err
}

// Put implements backend.DataFiles.
func (l Lent) Put(ctx context.Context, path string, content backend.Content, opts *backend.PutOptions) (info backend.Info, err error) {
	err = l.d.withFiles(ctx, func(files backend.DataFiles) (err error) {
		info, err = files.Put(ctx, path, content, opts)
		return about(path, err)
	})
	return info, err
}

// Stat implements backend.DataFiles.
func (l Lent) Stat(ctx context.Context, path string) (info backend.Info, err error) {
	err = l.d.withFiles(ctx, func(files backend.DataFiles) (err error) {
		info, err = files.Stat(ctx, path)
		return about(path, err)
	})
	return info, err
}

// Delete implements backend.DataFiles.
func (l Lent) Delete(ctx context.Context, path string, opts *backend.DeleteOptions) error {
	return l.d.withFiles(ctx, func(files backend.DataFiles) error { return about(path, files.Delete(ctx, path, opts)) })
}

// List implements backend.DataFiles.
func (l Lent) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		err := l.d.withFiles(ctx, func(files backend.DataFiles) error {
			for info, err := range files.List(ctx, opts) {
				if err != nil {
					return err
				}
				if !yield(info, nil) {
					break
				}
			}
			return nil
		})
		if err != nil {
			yield(backend.Info{}, err)
		}
	}
}

// Query implements backend.DataTables. It has no time limit but ctx.
func (l Lent) Query(ctx context.Context, query string, args ...any) (backend.Table, error) {
	c, err := l.d.open(ctx)
	if err != nil {
		return nil, err
	}
	tables, ok := c.store.(backend.DataTables)
	if !ok {
		return nil, noTables(l.d.Type())
	}
	table, err := tables.Query(ctx, query, args...)
	if err != nil {
		return nil, scrub(err, c.credentials)
	}
	return lentTable{table, c.credentials}, nil
}

// lentTable is the result of a query without credentials.
type lentTable struct {
	backend.Table
	credentials backend.Credentials
}

// Next implements backend.Table.
func (t lentTable) Next() ([]any, error) {
	row, err := t.Table.Next()
	return row, scrub(err, t.credentials)
}

// Close implements backend.Table.
func (t lentTable) Close() error { return scrub(t.Table.Close(), t.credentials) }

// Check implements backend.Datastore.
func (l Lent) Check(ctx context.Context) error { return l.d.Check(ctx, nil) }

// Close implements backend.Datastore. The datastore stays open: it is the
// workspace's.
func (Lent) Close() error { return nil }

package datastore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
)

// DefaultQueryTimeout bounds a query unless QueryOptions say otherwise, Azure
// ML's 30 s.
const DefaultQueryTimeout = 30 * time.Second

// QueryOptions are the options of Datastore.Query.
type QueryOptions struct {
	// Timeout bounds the query and the reading of its rows, by default
	// DefaultQueryTimeout.
	Timeout time.Duration
	// Args are the values of the query's parameters ($1 in PostgreSQL, ? in
	// SQLite).
	Args []any
}

// Query asks a database: one SELECT, WITH, VALUES or TABLE statement, which is
// run in a read-only transaction. Close the rows. Errors: ErrInvalid for
// anything else and for a query that the database refuses; ErrUnsupported for a
// datastore of files; ErrDenied, ErrUnavailable.
func (d *Datastore) Query(ctx context.Context, query string, opts *QueryOptions) (_ *Rows, err error) {
	defer d.h.Operation(&ctx, &err, "query", kind, d.Name())()
	if opts == nil {
		opts = &QueryOptions{}
	}
	timeout := opts.Timeout
	if timeout <= 0 {
		timeout = DefaultQueryTimeout
	}
	if err := checkStatement(query); err != nil {
		return nil, err
	}
	c, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	tables, ok := c.store.(backend.DataTables)
	if !ok {
		return nil, noTables(d.Type())
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w: the query took longer than %s: raise Timeout, or ask for less", azml.ErrUnavailable, timeout))
	r := &Rows{ctx: ctx, cancel: cancel, name: d.Name(), credentials: c.credentials}
	if r.table, err = tables.Query(ctx, query, opts.Args...); err != nil {
		defer cancel()
		return nil, r.explain(err)
	}
	return r, nil
}

func noTables(kind string) error {
	return fmt.Errorf("%w: a datastore of type %s has no tables", azml.ErrUnsupported, kind)
}

// Rows are the rows of a query, as they come. Close them. They are not safe for
// concurrent use.
type Rows struct {
	ctx         context.Context //nolint:containedctx // it bounds the reading, too
	cancel      context.CancelFunc
	name        string
	table       backend.Table
	credentials backend.Credentials
}

// Columns gives the columns in their order. The slice is not to be changed.
func (r *Rows) Columns() []backend.Column { return r.table.Columns() }

// All yields the rows that are left, each with its values in the order of the
// columns: nil, string, int64, float64, bool, time.Time or []byte. Errors: those
// of the database, ErrUnavailable after the timeout.
func (r *Rows) All() iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		for {
			row, err := r.table.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				err = r.explain(err)
				core.Wrap(&err, "read rows of", kind, r.name)
				yield(nil, err)
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// explain says of an error that the timeout caused that it did.
func (r *Rows) explain(err error) error {
	if cause := context.Cause(r.ctx); errors.Is(r.ctx.Err(), context.DeadlineExceeded) && errors.Is(cause, azml.ErrUnavailable) {
		return cause
	}
	return scrub(err, r.credentials)
}

// Close ends the query.
func (r *Rows) Close() error {
	defer r.cancel()
	return scrub(r.table.Close(), r.credentials)
}

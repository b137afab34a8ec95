package dataset

import (
	"context"
	"fmt"
	"iter"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/delimited"
	"github.com/azml-go/azml/tabular"
)

// BatchesOptions are the options of Dataset.Batches.
type BatchesOptions struct {
	// Columns are the columns to read, in this order; nil means all. What nobody
	// needs is not looked at.
	Columns []string
	// NullOnError makes a value that doesn't fit its column's type missing, instead
	// of an error that names the file and the row.
	NullOnError bool
}

// Batches yields the rows of the table in order, by columns, some thousand at a
// time. Files are read on all cores, a few blocks ahead of what was yielded, so
// memory stays the same however much data there is. Errors: ErrInvalid naming the
// file and the row of what is malformed or doesn't fit, ErrNotFound when a path
// means no file any more, ErrConflict for a file that changes while it is read.
func (d *Dataset) Batches(ctx context.Context, opts *BatchesOptions) iter.Seq2[*tabular.Batch, error] {
	if opts == nil {
		opts = &BatchesOptions{}
	}
	return func(yield func(*tabular.Batch, error) bool) {
		err := d.want(TypeTabular)
		wanted := opts.Columns
		if wanted == nil {
			wanted = d.Columns().Names()
		} else if err == nil {
			err = d.known(wanted)
		}
		if err != nil {
			yield(nil, d.fail("read rows of", err))
			return
		}
		for b, err := range d.batches(ctx, wanted, opts.NullOnError) {
			if err != nil {
				core.Wrap(&err, "read rows of", kind, d.label())
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// CountOptions are the options of Dataset.Count; there are none so far.
type CountOptions struct{}

// Count gives the number of rows, or of files. It reads what is needed to tell.
func (d *Dataset) Count(ctx context.Context, _ *CountOptions) (n int64, err error) {
	defer d.h.Operation(&ctx, &err, "count", kind, d.label())()
	if d.Type() == TypeFile {
		entries, err := d.entries(ctx, false)
		return int64(len(entries)), err
	}
	for b, err := range d.batches(ctx, d.Columns().Names()[:min(1, len(d.Columns()))], true) {
		if err != nil {
			return 0, err
		}
		n += int64(b.Rows)
	}
	return n, nil
}

// Rows yields the rows of the table in order as structs. A field is the column
// that its tag `dataset:"name"` names, else that of its own name in any case; one
// with the tag "-" is none, and columns that no field is for are not read. Types
// are compared once, before the first row:
//
//   - long goes to any type of integers and floats, float to floats, decimal to
//     strings and floats, bool to bool, datetime to time.Time in UTC, the others to
//     string and []byte;
//   - nested goes to anything else by encoding/json;
//   - pointers are nil where a value is missing; else a float is NaN then, and
//     anything else its zero value.
//
// Strings keep the block of the file alive that they were read from, about a
// megabyte: strings.Clone those that are kept for long. Errors: those of Batches;
// ErrInvalid for a field that no column is for or that doesn't fit, also a number
// that is too great for it.
func Rows[T any](ctx context.Context, d *Dataset, opts *RowsOptions) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		if opts == nil {
			opts = &RowsOptions{}
		}
		fields, err := fieldsOf[T](d)
		if err != nil {
			yield(zero, d.fail("read rows of", err))
			return
		}
		names := make([]string, len(fields))
		for i, f := range fields {
			names[i] = f.column.Name
		}
		var chunk []T
		rows := int64(0)
		pool := &delimited.Pool{}
		for b, err := range d.pooled(ctx, names, opts.NullOnError, pool) {
			if err != nil {
				core.Wrap(&err, "read rows of", kind, d.label())
				yield(zero, err)
				return
			}
			if cap(chunk) < b.Rows {
				chunk = make([]T, b.Rows)
			}
			chunk = chunk[:b.Rows]
			if !overwritten(fields, b) {
				clear(chunk)
			}
			for i, f := range fields {
				if bad, err := fill(chunk, f, &b.Columns[i]); err != nil {
					yield(zero, d.fail("read rows of", fmt.Errorf("%w: row %d, column %q: %w", azml.ErrInvalid, rows+int64(bad)+1, f.column.Name, err)))
					return
				}
			}
			rows += int64(b.Rows)
			pool.Recycle(b)
			for i := range chunk {
				if !yield(chunk[i], nil) {
					return
				}
			}
		}
	}
}

// RowsOptions are the options of Rows.
type RowsOptions struct {
	// NullOnError makes a value that doesn't fit its column's type missing, instead
	// of an error that names the file and the row.
	NullOnError bool
}

package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// table is the result of a query.
type table struct {
	ctx     context.Context //nolint:containedctx // that of the query
	cancel  context.CancelFunc
	tx      *sql.Tx
	rows    *sql.Rows
	columns []backend.Column
	targets []any
	values  []any
	count   int
	ended   bool // there are no more rows
}

// types are the types of columns by PostgreSQL's names; all others are text,
// decimals among them: no float64 holds them.
var types = map[string]backend.ColumnType{
	"INT2": backend.ColumnLong, "INT4": backend.ColumnLong, "INT8": backend.ColumnLong, "OID": backend.ColumnLong,
	"FLOAT4": backend.ColumnFloat, "FLOAT8": backend.ColumnFloat, "BOOL": backend.ColumnBool, "BYTEA": backend.ColumnBytes,
	"DATE": backend.ColumnDatetime, "TIMESTAMP": backend.ColumnDatetime, "TIMESTAMPTZ": backend.ColumnDatetime,
}

func (t *table) describe() error {
	found, err := t.rows.ColumnTypes()
	if err != nil {
		return errors.Join(fail(t.ctx, err), t.Close())
	}
	t.columns, t.values, t.targets = make([]backend.Column, len(found)), make([]any, len(found)), make([]any, len(found))
	for i, c := range found {
		kind, ok := types[c.DatabaseTypeName()]
		if !ok {
			kind = backend.ColumnString
		}
		t.columns[i] = backend.Column{Name: c.Name(), DatabaseType: c.DatabaseTypeName(), Type: kind}
		t.targets[i] = &t.values[i]
	}
	return nil
}

// Columns implements backend.Table.
func (t *table) Columns() []backend.Column { return t.columns }

// Next implements backend.Table.
func (t *table) Next() ([]any, error) {
	if !t.rows.Next() {
		t.ended = true
		if err := t.rows.Err(); err != nil {
			return nil, fail(t.ctx, err)
		}
		return nil, io.EOF
	}
	if err := t.rows.Scan(t.targets...); err != nil {
		return nil, fail(t.ctx, err)
	}
	t.count++
	row := make([]any, len(t.values))
	for i, v := range t.values {
		var err error
		if row[i], err = convert(v, t.columns[i].Type); err != nil {
			return nil, fmt.Errorf("row %d, column %q: %w", t.count, t.columns[i].Name, err)
		}
	}
	return row, nil
}

// convert gives a value the type of its column.
func convert(v any, want backend.ColumnType) (any, error) {
	switch x := v.(type) {
	case []byte:
		if want == backend.ColumnString {
			return string(x), nil
		}
	case string:
		if want == backend.ColumnDatetime { // "infinity"
			return nil, fmt.Errorf("%w: the time %q has no value here: leave such rows out of the query, or cast them", azml.ErrInvalid, x)
		}
	case time.Time:
		if want == backend.ColumnString {
			return x.Format(time.RFC3339Nano), nil
		}
		return x.UTC(), nil
	case int64, float64, bool:
		if want == backend.ColumnString {
			return fmt.Sprint(x), nil
		}
	}
	return v, nil
}

// Close ends the query and its transaction, in which nothing was changed. When
// there are more rows it ends the connection, for they would all have to be read.
func (t *table) Close() error {
	defer t.cancel()
	if !t.ended {
		t.cancel()
		_ = t.rows.Close() // canceled, as it was meant
		_ = t.tx.Rollback()
		return nil
	}
	err := t.rows.Close()
	if rollback := t.tx.Rollback(); !errors.Is(rollback, sql.ErrTxDone) {
		err = errors.Join(err, rollback)
	}
	if err != nil && t.ctx.Err() == nil {
		return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	return nil
}

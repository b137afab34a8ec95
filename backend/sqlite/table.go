package sqlite

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// table is the result of a query.
type table struct {
	ctx     context.Context //nolint:containedctx // that of the query, which interrupts it
	conn    *sqlite3.Conn
	stmt    *sqlite3.Stmt
	columns []backend.Column
	times   []bool // the columns that are declared as times
	bools   []bool // the columns that are declared as booleans
}

// Columns implements backend.Table. Values in SQLite have types, columns have
// not.
func (t *table) Columns() []backend.Column { return t.columns }

func (t *table) describe() {
	n := t.stmt.ColumnCount()
	t.columns, t.times, t.bools = make([]backend.Column, n), make([]bool, n), make([]bool, n)
	for i := range n {
		declared := t.stmt.ColumnDeclType(i)
		t.columns[i] = backend.Column{Name: t.stmt.ColumnName(i), DatabaseType: declared}
		t.times[i] = slices.Contains([]string{"DATE", "DATETIME", "TIMESTAMP"}, strings.ToUpper(declared))
		t.bools[i] = slices.Contains([]string{"BOOL", "BOOLEAN"}, strings.ToUpper(declared))
	}
}

// Next implements backend.Table.
func (t *table) Next() ([]any, error) {
	if !t.stmt.Step() {
		if err := t.stmt.Err(); err != nil {
			return nil, fail(t.ctx, err)
		}
		return nil, io.EOF
	}
	row := make([]any, len(t.columns))
	for i := range row {
		row[i] = t.value(i)
	}
	return row, nil
}

// value gives the value of a column. One that doesn't look as its column was
// declared stays what it is.
func (t *table) value(i int) any {
	switch t.stmt.ColumnType(i) {
	case sqlite3.INTEGER:
		n := t.stmt.ColumnInt64(i)
		if t.bools[i] && (n == 0 || n == 1) {
			return n == 1
		}
		return n
	case sqlite3.FLOAT:
		return t.stmt.ColumnFloat(i)
	case sqlite3.TEXT:
		text := t.stmt.ColumnText(i)
		if t.times[i] {
			if at, err := sqlite3.TimeFormatAuto.Decode(text); err == nil {
				return at
			}
		}
		return text
	case sqlite3.BLOB:
		return t.stmt.ColumnBlob(i, nil)
	}
	return nil
}

// Close implements io.Closer.
func (t *table) Close() error {
	_ = t.stmt.Close() // it says again what Next has said
	if err := t.conn.Close(); err != nil {
		return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
	}
	return nil
}

// bind sets a parameter.
func bind(stmt *sqlite3.Stmt, i int, arg any) error {
	switch v := arg.(type) {
	case nil:
		return stmt.BindNull(i)
	case bool:
		return stmt.BindBool(i, v)
	case int:
		return stmt.BindInt(i, v)
	case int64:
		return stmt.BindInt64(i, v)
	case float64:
		return stmt.BindFloat(i, v)
	case string:
		return stmt.BindText(i, v)
	case []byte:
		return stmt.BindBlob(i, v)
	case time.Time:
		return stmt.BindTime(i, v, sqlite3.TimeFormatDefault)
	}
	return fmt.Errorf("%w: parameter %d is a %T: use a string, number, bool, time or bytes", azml.ErrInvalid, i, arg)
}

package gateway_test

import (
	"context"
	"errors"
	"io"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/backendtest"
	"github.com/azml-go/azml/backend/folder"
	"github.com/azml-go/azml/backend/memory"
)

// TestDatastore runs the whole suite of datastores through a gateway.
func TestDatastore(t *testing.T) {
	t.Parallel()
	backendtest.DataFiles(t, func(t *testing.T) backendtest.DataFilesHarness {
		store, err := folder.Driver{}.Open(t.Context(), backend.DatastoreSource{Connection: map[string]string{"path": t.TempDir()}})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close()) })
		address := serve(t, memory.NewObjects(), memory.NewSecrets(), everything{files: store.(backend.DataFiles)})
		return backendtest.DataFilesHarness{Files: dial(t, address, token).Datastore("d"), Tree: true}
	})
}

// table is a table of given rows, which ends with an error.
type table struct {
	columns []backend.Column
	rows    [][]any
	end     error
}

func (t *table) Columns() []backend.Column { return t.columns }

func (t *table) Next() ([]any, error) {
	if len(t.rows) == 0 {
		return nil, t.end
	}
	row := t.rows[0]
	t.rows = t.rows[1:]
	return row, nil
}

func (t *table) Close() error { return nil }

func (t *table) Query(_ context.Context, query string, _ ...any) (backend.Table, error) {
	if query != "SELECT" {
		return nil, azml.ErrInvalid
	}
	return t, nil
}

// TestQuery asks for values of each type, and for tables that end otherwise than they
// should.
func TestQuery(t *testing.T) {
	t.Parallel()
	row := []any{nil, "Ännë \x00", "\xff", "", int64(math.MinInt64), 0.1, math.Inf(-1), true, time.Unix(-1, 5).UTC(), []byte{0, 255}, []byte{}}
	for name, c := range map[string]struct {
		query string
		table *table
		want  [][]any
		err   error
	}{
		"values":             {"SELECT", &table{make([]backend.Column, len(row)), [][]any{row, row}, io.EOF}, [][]any{row, row}, io.EOF},
		"names of columns":   {"SELECT", &table{[]backend.Column{{Name: "a", DatabaseType: "TEXT", Type: backend.ColumnString}}, nil, io.EOF}, nil, io.EOF},
		"an error":           {"SELECT", &table{make([]backend.Column, 1), [][]any{{"a"}}, azml.ErrUnavailable}, [][]any{{"a"}}, azml.ErrUnavailable},
		"what has no type":   {"SELECT", &table{make([]backend.Column, 1), [][]any{{struct{}{}}}, io.EOF}, nil, azml.ErrUnsupported},
		"too few values":     {"SELECT", &table{make([]backend.Column, 2), [][]any{{"a"}}, io.EOF}, nil, azml.ErrDamaged},
		"a query that fails": {"DROP", &table{}, nil, azml.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			columns := c.table.columns
			client := dial(t, serve(t, memory.NewObjects(), memory.NewSecrets(), everything{tables: c.table}), token).Datastore("d")
			got, err := client.Query(t.Context(), c.query)
			if err != nil {
				require.ErrorIs(t, err, c.err)
				return
			}
			defer func() { require.NoError(t, got.Close()) }()
			require.Equal(t, columns, got.Columns())
			var rows [][]any
			for {
				var row []any
				if row, err = got.Next(); err != nil {
					break
				}
				rows = append(rows, row)
			}
			require.True(t, errors.Is(err, c.err), "%v", err)
			require.Equal(t, c.want, rows)
			_, again := got.Next()
			require.Equal(t, err, again)
		})
	}
}

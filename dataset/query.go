package dataset

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/textvalue"
	"github.com/azml-go/azml/tabular"
)

// queryRows is the number of rows of a batch of a query's.
const queryRows = 8192

func ask(ctx context.Context, s *datastore.Datastore, q *record.DataQuery) (*datastore.Rows, error) {
	return s.Query(ctx, q.Text, &datastore.QueryOptions{Timeout: time.Duration(q.Timeout) * time.Millisecond})
}

// columnTypes are the types of columns that a database tells.
var columnTypes = map[backend.ColumnType]tabular.Type{
	backend.ColumnString: tabular.String, backend.ColumnLong: tabular.Int, backend.ColumnFloat: tabular.Float,
	backend.ColumnBool: tabular.Bool, backend.ColumnDatetime: tabular.Time, backend.ColumnBytes: tabular.Bytes,
}

// inferQuery gives the columns of a query: of the types that are known, else that
// the database tells, else that the values of the first rows have.
func inferQuery(ctx context.Context, s *datastore.Datastore, q *record.DataQuery, types map[string]tabular.Type) (tabular.Schema, error) {
	rows, err := ask(ctx, s, q)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	schema := tabular.Schema{}
	for _, c := range rows.Columns() {
		if schema.Index(c.Name) >= 0 {
			return nil, fmt.Errorf("%w: the query has two columns %q: name them by AS", azml.ErrInvalid, c.Name)
		}
		t := columnTypes[c.Type]
		if known, ok := types[c.Name]; ok {
			t = known
		}
		schema = append(schema, tabular.Field{Name: c.Name, Type: t})
	}
	for name := range types {
		if schema.Index(name) < 0 {
			return nil, fmt.Errorf("%w: a type is set for column %q, which is not there: there are %q", azml.ErrInvalid, name, schema.Names())
		}
	}
	seen, err := firstTypes(rows, len(schema))
	if err != nil {
		return nil, err
	}
	for i := range schema {
		if schema[i].Type == "" {
			schema[i].Type = seen[i]
		}
	}
	return schema, nil
}

// firstTypes gives the types of the values of the first rows: String when they
// differ.
func firstTypes(rows *datastore.Rows, n int) ([]tabular.Type, error) {
	seen := make([]tabular.Type, n)
	count := 0
	for row, err := range rows.All() {
		if err != nil {
			return nil, err
		}
		for i, v := range row {
			if t := typeOf(v); t == "" || t == seen[i] {
				continue
			} else if seen[i] == "" {
				seen[i] = t
			} else if seen[i] != t && (t == tabular.Int || t == tabular.Float) && (seen[i] == tabular.Int || seen[i] == tabular.Float) {
				seen[i] = tabular.Float
			} else {
				seen[i] = tabular.String
			}
		}
		if count++; count == sampleRows {
			break
		}
	}
	for i := range seen {
		if seen[i] == "" {
			seen[i] = tabular.String
		}
	}
	return seen, nil
}

func typeOf(v any) tabular.Type {
	switch v.(type) {
	case nil:
		return ""
	case int64:
		return tabular.Int
	case float64:
		return tabular.Float
	case bool:
		return tabular.Bool
	case time.Time:
		return tabular.Time
	case []byte:
		return tabular.Bytes
	}
	return tabular.String
}

// query yields the rows of the query, of the columns with the names.
func (d *Dataset) query(ctx context.Context, names []string, nullOnError bool) iter.Seq2[*tabular.Batch, error] {
	return func(yield func(*tabular.Batch, error) bool) {
		if err := d.queryEach(ctx, names, nullOnError, func(b *tabular.Batch) bool { return yield(b, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

func (d *Dataset) queryEach(ctx context.Context, names []string, nullOnError bool, give func(*tabular.Batch) bool) error {
	s, err := datastore.Lookup(ctx, d.h, d.def.Query.Datastore)
	if err != nil {
		return err
	}
	rows, err := ask(ctx, s, d.def.Query)
	if err != nil {
		return err
	}
	defer rows.Close()
	places, err := d.queryPlaces(rows.Columns(), names)
	if err != nil {
		return err
	}
	fresh := func() *tabular.Batch {
		b := &tabular.Batch{Columns: make([]tabular.Column, len(names))}
		for i, name := range names {
			b.Columns[i] = tabular.NewColumn(d.def.Columns[d.def.Columns.Index(name)], queryRows)
		}
		return b
	}
	b, count := fresh(), 0
	for row, err := range rows.All() {
		if err != nil {
			return err
		}
		count++
		for i, at := range places {
			c := &b.Columns[i]
			if !put(c, b.Rows, row[at]) {
				if !nullOnError {
					return fmt.Errorf("%w: row %d, column %q: %.40q is no %s", azml.ErrInvalid, count, c.Name, fmt.Sprint(row[at]), c.Type)
				}
				c.SetNull(b.Rows)
			}
		}
		if b.Rows++; b.Rows == queryRows {
			if !give(b) {
				return nil
			}
			b = fresh()
		}
	}
	if b.Rows > 0 {
		give(b.Slice(0, b.Rows))
	}
	return nil
}

// queryPlaces finds the columns in what the query gives now.
func (d *Dataset) queryPlaces(columns []backend.Column, names []string) ([]int, error) {
	there := map[string]int{}
	for i, c := range columns {
		there[c.Name] = i
	}
	places := make([]int, len(names))
	for i, name := range names {
		at, ok := there[name]
		if !ok {
			return nil, fmt.Errorf("%w: the query's columns are not those of the dataset: it lacks %q", azml.ErrInvalid, name)
		}
		places[i] = at
	}
	return places, nil
}

// put puts a database's value into a column, and tells whether it fits.
func put(c *tabular.Column, row int, v any) bool {
	if v == nil {
		c.SetNull(row)
		return true
	}
	text, isText := v.(string)
	switch c.Type {
	case tabular.Int:
		n, ok := v.(int64)
		if isText {
			n, ok = textvalue.Int([]byte(text))
		}
		c.Ints[row] = n
		return ok
	case tabular.Float:
		f, ok := v.(float64)
		if n, isInt := v.(int64); isInt {
			f, ok = float64(n), true
		} else if isText {
			f, ok = textvalue.Float([]byte(text))
		}
		c.Floats[row] = f
		return ok
	case tabular.Bool:
		b, ok := v.(bool)
		if n, isInt := v.(int64); isInt && (n == 0 || n == 1) {
			b, ok = n == 1, true
		} else if isText {
			b, ok = textvalue.Bool([]byte(text))
		}
		c.Bools[row] = b
		return ok
	case tabular.Time:
		if isText {
			ns, ok, inRange := textvalue.Time([]byte(text), nil)
			c.Ints[row] = ns
			return ok && inRange
		}
		t, ok := v.(time.Time)
		if !ok || !textvalue.InRange(t) {
			return false
		}
		c.Ints[row] = t.UnixNano()
		return true
	}
	c.Texts[row] = textOf(v)
	return true
}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v)
}

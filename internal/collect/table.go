package collect

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"slices"
)

// file is a file to be written.
type file struct {
	path    string
	content []byte
	bytes   int   // of the rows, as they were counted
	calls   int64 // that brought them
}

// table are the rows of one place that have the same columns.
type table struct {
	place
	columns []string
	records [][]string
	bytes   int
	calls   int64
}

// encode makes files of rows: one for each place and set of columns.
func (c *Collector) encode(rows []Rows) []file {
	var tables []*table
	for _, r := range rows {
		found, err := c.tables(r)
		if err != nil {
			c.unreadable(r, err)
			continue
		}
		if len(found) == 0 {
			c.release(r.size())
			continue
		}
		found[0].bytes, found[0].calls = r.size(), 1
		for _, t := range found {
			tables = add(tables, t)
		}
	}
	files := make([]file, 0, len(tables))
	for _, t := range tables {
		files = append(files, file{t.path(c.cfg.Name, c.number()), t.csv(), t.bytes, t.calls})
	}
	return files
}

// add puts the rows to those of the same place and columns.
func add(tables []*table, more *table) []*table {
	for _, t := range tables {
		if t.place == more.place && slices.Equal(t.columns, more.columns) {
			t.records = append(t.records, more.records...)
			t.bytes += more.bytes
			t.calls += more.calls
			return tables
		}
	}
	return append(tables, more)
}

// tables are the rows by their places. What a row says itself in one of Columns counts
// for it.
func (c *Collector) tables(r Rows) ([]*table, error) {
	columns, records, err := parse(&r)
	if err != nil {
		return nil, err
	}
	if r.Origin == (Origin{}) {
		r.Origin = c.cfg.Origin
	}
	own, rest := split(columns)
	names := picked(columns, rest)
	var tables []*table
	for _, record := range records {
		one := r
		for column, i := range own {
			one.set(column, record[i])
		}
		if err := one.check(); err != nil {
			return nil, err
		}
		p := place{one.Origin, one.Collection, cmp.Or(one.File, one.Collection), one.Time.UTC().Format("2006/01/02")}
		tables = add(tables, &table{place: p, columns: names, records: [][]string{append(prefix(&one), picked(record, rest)...)}})
	}
	return tables, nil
}

func (t *table) csv() []byte {
	var buffer bytes.Buffer
	w := csv.NewWriter(&buffer) // a buffer takes everything
	_ = w.Write(slices.Concat(Columns, t.columns))
	_ = w.WriteAll(t.records)
	return buffer.Bytes()
}

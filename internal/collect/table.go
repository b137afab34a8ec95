package collect

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"slices"
)

// file is a file to be written.
type file struct {
	path    string
	content []byte
	bytes   int   // of the rows, as they were counted
	calls   int64 // that brought them
}

// table are rows of one place that have the same columns.
type table struct {
	place
	columns []string
	records [][]string
	bytes   int
	calls   int64
}

// key tells tables apart.
type key struct {
	place
	columns string
}

// encode makes files of rows: one for each place and set of columns.
func (c *Collector) encode(rows []Rows) []file {
	var tables []*table
	index := map[key]*table{}
	for _, r := range rows {
		more, err := c.table(r)
		if err != nil {
			c.unreadable(r, err)
			continue
		}
		if len(more.records) == 0 {
			c.release(r.size())
			continue
		}
		at := key{more.place, fmt.Sprintf("%q", more.columns)}
		if t := index[at]; t != nil {
			t.add(more)
			continue
		}
		index[at], tables = more, append(tables, more)
	}
	files := make([]file, 0, len(tables))
	for _, t := range tables {
		files = append(files, file{t.path(c.cfg.Name, c.number()), t.csv(), t.bytes, t.calls})
	}
	return files
}

func (t *table) add(more *table) {
	t.records = append(t.records, more.records...)
	t.bytes += more.bytes
	t.calls += more.calls
}

// table are the rows of a call, which have one place: what a client sends never makes it
// several files.
func (c *Collector) table(r Rows) (*table, error) {
	columns, records, err := parse(&r)
	if err != nil {
		return nil, err
	}
	if r.Origin == (Origin{}) {
		r.Origin = c.cfg.Origin
	}
	own, rest := split(columns)
	for i, record := range records {
		one := r
		for column, at := range own {
			one.set(column, record[at])
		}
		records[i] = append(prefix(&one), picked(record, rest)...)
	}
	p := place{r.Origin, r.Collection, cmp.Or(r.File, r.Collection), r.Time.UTC().Format("2006/01/02")}
	return &table{place: p, columns: picked(columns, rest), records: records, bytes: r.size(), calls: 1}, nil
}

func (t *table) csv() []byte {
	var buffer bytes.Buffer
	w := csv.NewWriter(&buffer) // a buffer takes everything
	_ = w.Write(slices.Concat(Columns, t.columns))
	_ = w.WriteAll(t.records)
	return buffer.Bytes()
}

package metrics

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// tableReader reads the row groups of a sealed Parquet object. Not safe for
// concurrent use.
type tableReader struct {
	obj    *checkedObject
	file   *parquet.File
	names  map[string]bool // the metrics wanted, nil for all
	values []parquet.Value
}

// openTables reads the end of the object, where its contents are listed.
func (l *Log) openTables(ctx context.Context, s *sealed, names []string) (*tableReader, error) {
	r := &tableReader{obj: l.sealedObject(ctx, s.Points), values: make([]parquet.Value, writeRows)}
	if len(names) > 0 {
		r.names = make(map[string]bool, len(names))
		for _, name := range names {
			r.names[name] = true
		}
	}
	err := r.obj.guard(func() (err error) {
		if err := r.checkFooter(); err != nil {
			return err
		}
		r.file, err = parquet.OpenFile(r.obj, s.Points.Size, parquet.SkipBloomFilters(true), parquet.ReadBufferSize(readAhead))
		if err == nil && !parquet.EqualNodes(r.file.Schema(), parquet.SchemaOf(tableRow{})) {
			err = errors.New("its columns are not those of sealed metrics")
		}
		if err == nil {
			err = checkRows(r.file, s.Count)
		}
		return err
	})
	return r, err
}

// checkFooter looks at the length of the footer, for which the decoder makes
// room unseen.
func (r *tableReader) checkFooter() error {
	var b [8]byte
	if _, err := r.obj.ReadAt(b[:], r.obj.stored.Size-int64(len(b))); err != nil {
		return err
	}
	if length := binary.LittleEndian.Uint32(b[:]); string(b[4:]) != "PAR1" || int64(length) > r.obj.stored.Size-12 {
		return errors.New("it has no footer")
	}
	return nil
}

// checkRows compares the numbers of rows that a file says it has with that of
// the record, so that nothing is made room for that is not there.
func checkRows(f *parquet.File, count int64) error {
	rest := count
	for _, g := range f.RowGroups() {
		n := g.NumRows()
		for _, c := range g.ColumnChunks() {
			if c.NumValues() != n {
				return errors.New("its columns differ in length")
			}
		}
		if n < 0 || n > rest {
			return fmt.Errorf("it has more rows than the %d points of the record", count)
		}
		rest -= n
	}
	if rest > 0 {
		return fmt.Errorf("it lacks %d of the %d points of the record", rest, count)
	}
	return nil
}

func (r *tableReader) groups() int { return len(r.file.RowGroups()) }

// maxSeq gives the greatest number of a point in the group.
func (r *tableReader) maxSeq(group int) (greatest uint64, err error) {
	err = r.obj.guard(func() error {
		index, err := r.file.RowGroups()[group].ColumnChunks()[columnSeq].ColumnIndex()
		if err != nil {
			return err
		}
		for i := range index.NumPages() {
			greatest = max(greatest, uint64(index.MaxValue(i).Int64()))
		}
		return nil
	})
	return greatest, err
}

// span is a range of rows.
type span struct{ from, to int64 }

// group reads the wanted points of a row group.
func (r *tableReader) group(group int) (t *table, err error) {
	err = r.obj.guard(func() error {
		g := r.file.RowGroups()[group]
		spans := []span{{0, g.NumRows()}}
		if r.names != nil {
			if spans, err = r.spans(g); err != nil {
				return err
			}
		}
		t = newTable()
		for _, s := range spans {
			if err := r.rows(g, s, t); err != nil {
				return err
			}
		}
		return nil
	})
	return t, err
}

// spans finds the rows of the wanted names: the index of the pages tells where
// they may be, the names there tell where they are.
func (r *tableReader) spans(g parquet.RowGroup) (spans []span, err error) {
	chunk := g.ColumnChunks()[columnName]
	index, err := chunk.ColumnIndex()
	if err != nil {
		return nil, err
	}
	offsets, err := chunk.OffsetIndex()
	if err != nil {
		return nil, err
	}
	for i := range index.NumPages() {
		if !r.mayHold(index.MinValue(i).ByteArray(), index.MaxValue(i).ByteArray()) {
			continue
		}
		page := span{offsets.FirstRowIndex(i), g.NumRows()}
		if i+1 < index.NumPages() {
			page.to = offsets.FirstRowIndex(i + 1)
		}
		if least, greatest := index.MinValue(i).ByteArray(), index.MaxValue(i).ByteArray(); bytes.Equal(least, greatest) {
			spans = joined(spans, page)
			continue
		}
		err := r.column(g, columnName, page, func(row int, v parquet.Value) error {
			if at := page.from + int64(row); r.names[string(v.ByteArray())] {
				spans = joined(spans, span{at, at + 1})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return spans, nil
}

// joined adds a span to those before it.
func joined(spans []span, s span) []span {
	if last := len(spans) - 1; last >= 0 && spans[last].to == s.from {
		spans[last].to = s.to
		return spans
	}
	return append(spans, s)
}

func (r *tableReader) mayHold(least, greatest []byte) bool {
	for name := range r.names {
		if name >= string(least) && name <= string(greatest) {
			return true
		}
	}
	return false
}

// column hands on the values of a column, with their rows counted from the
// beginning of the span. A value's bytes are good until take returns.
func (r *tableReader) column(g parquet.RowGroup, column int, s span, take func(row int, v parquet.Value) error) error {
	return eachPage(g.ColumnChunks()[column], s, func(row, n int, page parquet.Page) error {
		values := page.Values()
		for end := row + n; row < end; {
			n, err := values.ReadValues(r.values[:min(len(r.values), end-row)])
			for i, v := range r.values[:n] {
				if err := take(row+i, v); err != nil {
					return err
				}
			}
			if row += n; n == 0 || err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("column %d ends at row %d: %w", column, row, err)
			}
		}
		return nil
	})
}

// numbers reads a column of whole numbers that has no nulls.
func (r *tableReader) numbers(g parquet.RowGroup, column int, s span, dst []int64) error {
	return eachPage(g.ColumnChunks()[column], s, func(row, n int, page parquet.Page) error {
		values, ok := page.Values().(parquet.Int64Reader)
		if !ok {
			return fmt.Errorf("column %d holds no whole numbers", column)
		}
		for end := row + n; row < end; {
			n, err := values.ReadInt64s(dst[row:end])
			if row += n; n == 0 || err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("column %d ends at row %d: %w", column, row, err)
			}
		}
		return nil
	})
}

// eachPage hands on the pages that cover the span, each with its first row and
// the number of rows wanted of it.
func eachPage(chunk parquet.ColumnChunk, s span, take func(row, n int, page parquet.Page) error) error {
	pages := chunk.Pages()
	defer pages.Close()
	if s.from > 0 {
		if err := pages.SeekToRow(s.from); err != nil {
			return err
		}
	}
	for row := int64(0); row < s.to-s.from; {
		page, err := pages.ReadPage()
		if err != nil {
			return fmt.Errorf("page at row %d: %w", s.from+row, err)
		}
		n := min(page.NumRows(), s.to-s.from-row)
		if err = take(int(row), int(n), page); err == nil && n == 0 {
			err = errors.New("a page is empty")
		}
		parquet.Release(page)
		if err != nil {
			return err
		}
		row += n
	}
	return nil
}

package parquetfile

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"

	"github.com/azml-go/azml/tabular"
)

// rowReader reads a column of a row group.
type rowReader interface {
	// read fills rows of the column with the next n values.
	read(c *tabular.Column, row, n int) error
	// release gives back the page that was read last.
	release()
}

// flat reads a column without structure by whole slices.
type flat struct {
	column
	kind  parquet.Kind
	pages parquet.Pages

	page   parquet.Page
	values encoding.Values
	levels []byte // of the page, empty when nothing can be missing
	dict   parquet.Dictionary
	words  *tabular.Column // the values of dict
	wrong  error           // of words
	row    int             // rows of the page that were read
	value  int             // values of the page that were read
}

func newFlat(c column, pages parquet.Pages) *flat {
	return &flat{column: c, kind: c.node.Type().Kind(), pages: pages}
}

func (r *flat) release() { parquet.Release(r.page) }

func (r *flat) read(c *tabular.Column, row, n int) error {
	for n > 0 {
		if r.page == nil || r.row == int(r.page.NumValues()) {
			if err := r.next(); err != nil {
				return err
			}
			continue
		}
		some := min(n, int(r.page.NumValues())-r.row)
		if err := r.some(c, row, some); err != nil {
			return err
		}
		r.row += some
		row += some
		n -= some
	}
	return nil
}

// next goes to the next page.
func (r *flat) next() (err error) {
	parquet.Release(r.page)
	r.page, err = r.pages.ReadPage()
	if errors.Is(err, io.EOF) {
		return errors.New("it has fewer rows than it says")
	}
	if err != nil {
		return err
	}
	r.row, r.value = 0, 0
	r.values, r.levels = r.page.Data(), r.page.DefinitionLevels()
	if dict := r.page.Dictionary(); dict != nil && dict != r.dict {
		words := tabular.NewColumn(r.Field, dict.Len())
		values := dict.Page().Data()
		r.wrong = r.leaf.decode(values, r.kind, 0, dict.Len(), &words, 0)
		if r.wrong != nil && !errors.Is(r.wrong, errRange) {
			return r.wrong
		}
		r.dict, r.words = dict, &words
	}
	return nil
}

// some reads rows that the page has.
func (r *flat) some(c *tabular.Column, row, n int) error {
	if len(r.levels) == 0 {
		if r.page.NumNulls() == r.page.NumValues() {
			for i := range n {
				c.SetNull(row + i)
			}
			return nil
		}
		err := r.present(c, row, n)
		r.value += n
		return err
	}
	levels := r.levels[r.row : r.row+n]
	for begin := 0; begin < n; {
		end := begin + 1
		for end < n && levels[end] == levels[begin] {
			end++
		}
		if levels[begin] == 0 {
			for i := begin; i < end; i++ {
				c.SetNull(row + i)
			}
		} else {
			if err := r.present(c, row+begin, end-begin); err != nil {
				return err
			}
			r.value += end - begin
		}
		begin = end
	}
	return nil
}

// present reads values none of which is missing.
func (r *flat) present(c *tabular.Column, row, n int) error {
	if r.page.Dictionary() == nil {
		return r.leaf.decode(r.values, r.kind, r.value, n, c, row)
	}
	places := r.values.Int32()[r.value : r.value+n]
	switch w := r.words; c.Type {
	case tabular.Int, tabular.Time:
		lookUp(c.Ints[row:], w.Ints, places)
	case tabular.Float:
		lookUp(c.Floats[row:], w.Floats, places)
	case tabular.Bool:
		lookUp(c.Bools[row:], w.Bools, places)
	default:
		lookUp(c.Texts[row:], w.Texts, places)
	}
	if r.words.Nulls == nil {
		return nil
	}
	err := error(nil)
	for i, p := range places {
		if r.words.Nulls[p] {
			c.SetNull(row + i)
			err = r.wrong
		}
	}
	return err
}

func lookUp[T any](to, words []T, places []int32) {
	to = to[:len(places)]
	for i, p := range places {
		to[i] = words[p]
	}
}

// guard makes a panic of the decoder an error.
func guard(do func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it is damaged: %v", r)
		}
	}()
	return do()
}

package parquetfile

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/datafile"
	"github.com/azml-go/azml/tabular"
)

const (
	// maxRows and minRows bound the rows of a batch, and batchValues its values.
	maxRows     = 64 << 10
	minRows     = 256
	batchValues = 2 << 20
	// readAhead is how much is read of a column at once.
	readAhead = 256 << 10
)

// Options say how files are to be read.
type Options struct {
	// NullOnError makes times that are out of range missing instead of an error.
	NullOnError bool
}

// Infer gives the columns of the first file. It reads the end of that. Errors:
// ErrInvalid when it is no Parquet file.
func Infer(ctx context.Context, files []datafile.File) (tabular.Schema, error) {
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: there are no files", azml.ErrInvalid)
	}
	f, err := open(ctx, datafile.Opened{File: files[0]})
	if err != nil {
		return nil, err
	}
	defer f.close()
	s := make(tabular.Schema, len(f.columns))
	for i, c := range f.columns {
		s[i] = c.Field
	}
	return s, nil
}

// Read yields the rows of the files in order; of the columns of schema those with
// the names, in the order of names. Nil names are all. Errors: ErrInvalid naming
// the file, when it is damaged or its columns are not those of schema.
func Read(ctx context.Context, files []datafile.File, schema tabular.Schema, names []string, opts *Options) iter.Seq2[datafile.Part, error] {
	return func(yield func(datafile.Part, error) bool) {
		if names == nil {
			names = schema.Names()
		}
		for file, err := range datafile.Ahead(ctx, files) {
			if err != nil {
				yield(datafile.Part{}, err)
				return
			}
			stopped := false
			err = readFile(ctx, file, schema, names, opts, func(b *tabular.Batch) bool {
				stopped = !yield(datafile.Part{Batch: b, File: file.Number}, nil)
				return !stopped
			})
			if stopped {
				return
			}
			if err != nil {
				yield(datafile.Part{}, err)
				return
			}
		}
	}
}

// opened is an open Parquet file.
type opened struct {
	*parquet.File
	said      *format.FileMetaData // the footer's own words, see openFile
	stream    datafile.Stream
	size      int64
	columns   []column
	shapes    []leafShape // of all leaves
	unpackers *unpackers
	budget    budget
	name      string
}

func (f *opened) close() { _ = f.stream.Close() } // it was only read

func open(ctx context.Context, file datafile.Opened) (*opened, error) {
	stream, err := file.Stream(ctx)
	if err != nil {
		return nil, err
	}
	f := &opened{stream: stream, size: file.Size, unpackers: newUnpackers(), name: file.Name}
	err = guard(func() (err error) {
		if f.File, f.said, err = openFile(stream, file.Size); err != nil {
			return err
		}
		if err := f.checkCodecs(); err != nil {
			return err
		}
		f.shapes = shapesOf(nil, f.Root())
		f.columns, err = columnsOf(f.File)
		return err
	})
	if err != nil {
		f.close()
		return nil, wrong(ctx, file.Name, err)
	}
	return f, nil
}

// wrong names the file, and makes what a decoder says ErrInvalid.
func wrong(ctx context.Context, name string, err error) error {
	for _, class := range []error{azml.ErrInvalid, azml.ErrNotFound, azml.ErrConflict, azml.ErrDenied, azml.ErrUnavailable, azml.ErrUnsupported, azml.ErrClosed, ctx.Err()} {
		if class != nil && errors.Is(err, class) {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return fmt.Errorf("%w: %s: it can't be read as a Parquet file: %w", azml.ErrInvalid, name, err)
}

// checkCodecs refuses a file before its first row is read.
func (f *opened) checkCodecs() error {
	for _, g := range f.said.RowGroups {
		for i := range g.Columns {
			if _, err := f.unpackers.of(g.Columns[i].MetaData.Codec); err != nil {
				return err
			}
		}
	}
	return nil
}

// shapesOf adds those of the leaves in their order.
func shapesOf(out []leafShape, c *parquet.Column) []leafShape {
	if c.Leaf() {
		return append(out, leafShape{c.Type().Kind(), c.MaxRepetitionLevel(), c.MaxDefinitionLevel()})
	}
	for _, inner := range c.Columns() {
		out = shapesOf(out, inner)
	}
	return out
}

// choose gives the columns with the names, after it has compared those of the
// file with the schema.
func (f *opened) choose(schema tabular.Schema, names []string) ([]column, error) {
	there := map[string]column{}
	for _, c := range f.columns {
		there[c.Name] = c
	}
	for _, want := range schema {
		c, ok := there[want.Name]
		switch {
		case !ok:
			return nil, fmt.Errorf("%w: %s: its columns are not those of the dataset: it lacks %q", azml.ErrInvalid, f.name, want.Name)
		case c.Type != want.Type:
			return nil, fmt.Errorf("%w: %s: its columns are not those of the dataset: %q is %s instead of %s", azml.ErrInvalid, f.name, want.Name, c.Type, want.Type)
		}
	}
	chosen := make([]column, len(names))
	for i, name := range names {
		if schema.Index(name) < 0 {
			return nil, fmt.Errorf("%w: there is no column %q", azml.ErrInvalid, name)
		}
		chosen[i] = there[name]
	}
	return chosen, nil
}

// piece is some rows of a column.
type piece struct {
	column tabular.Column
	err    error
}

// readFile reads the columns of a file side by side.
func readFile(ctx context.Context, file datafile.Opened, schema tabular.Schema, names []string, opts *Options, yield func(*tabular.Batch) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f, err := open(ctx, file)
	if err != nil {
		return err
	}
	defer f.close()
	chosen, err := f.choose(schema, names)
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	rows := min(maxRows, max(minRows, batchValues/max(1, len(chosen))))
	pieces := make([]chan piece, len(chosen))
	for i, c := range chosen {
		pieces[i] = make(chan piece, 1)
		running.Go(func() { f.readColumn(ctx, c, rows, opts, pieces[i]) })
	}
	for _, g := range f.RowGroups() {
		for left := g.NumRows(); left > 0; left -= int64(rows) {
			b := &tabular.Batch{Rows: int(min(int64(rows), left)), Columns: make([]tabular.Column, len(chosen))}
			for i, c := range pieces {
				var p piece
				select {
				case p = <-c:
				case <-ctx.Done():
					p.err = ctx.Err()
				}
				if p.err != nil {
					return wrong(ctx, fmt.Sprintf("%s, column %q", f.name, chosen[i].Name), p.err)
				}
				b.Columns[i] = p.column
			}
			if !yield(b) {
				return nil
			}
		}
	}
	return nil
}

// readColumn reads a column of all row groups, and ends after an error.
func (f *opened) readColumn(ctx context.Context, c column, rows int, opts *Options, out chan<- piece) {
	done := 0
	send := func(p piece) bool {
		select {
		case out <- p:
			return p.err == nil
		case <-ctx.Done():
			return false
		}
	}
	err := guard(func() error {
		room := make([]*scratch, leaves(c.node))
		for i := range room {
			room[i] = newScratch()
		}
		for i := range f.RowGroups() {
			more, err := f.readGroup(c, i, rows, room, func(col tabular.Column, err error) bool {
				if errors.Is(err, errRange) && opts.NullOnError {
					err = nil
				}
				done += col.Len()
				return send(piece{col, err})
			})
			if err != nil || !more {
				return err
			}
		}
		return nil
	})
	if err != nil {
		send(piece{err: fmt.Errorf("behind row %d: %w", done, err)})
	}
}

// readGroup reads the column of a row group, some rows at a time.
func (f *opened) readGroup(c column, group, rows int, room []*scratch, give func(tabular.Column, error) bool) (more bool, err error) {
	pages := make([]parquet.Pages, len(room))
	for i := range pages {
		if pages[i], err = f.pages(group, c.first+i, room[i]); err != nil {
			return false, err
		}
		defer func() { err = errors.Join(err, pages[i].Close()) }()
	}
	r := c.reader(pages)
	defer r.release()
	for left := f.RowGroups()[group].NumRows(); left > 0; left -= int64(rows) {
		col := tabular.NewColumn(c.Field, int(min(int64(rows), left)))
		err := r.read(&col, 0, col.Len())
		if err != nil && !errors.Is(err, errRange) {
			return false, err
		}
		if !give(col, err) {
			return false, nil
		}
	}
	return true, nil
}

// reader gives what reads the column from the pages of its leaves.
func (c column) reader(pages []parquet.Pages) rowReader {
	if c.leaf.typ != "" {
		return newFlat(c, pages[0])
	}
	return newNested(c, pages)
}

package dataset

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/tabular"
)

// maxOpen bounds the files that are written at the same time.
const maxOpen = 64

// PartitionByOptions are the options of Dataset.PartitionBy.
type PartitionByOptions struct {
	// AsFiles gives the written files as a dataset of files instead of a table.
	AsFiles bool
}

// PartitionBy writes the rows to Parquet files with a folder for each value of the
// keys, one within the other, in a new folder of a random name in the target, and
// gives these as a dataset that is not registered, with the keys as partitions. The
// keys, of type string, long or bool, are in the folders' names only, so they come
// back as strings. Errors: ErrInvalid for keys that are no columns, come twice or
// are none, and for a value that can't be a folder's name: a missing or empty one,
// and one with ".", "/" or "\".
func (d *Dataset) PartitionBy(ctx context.Context, keys []string, target Path, opts *PartitionByOptions) (_ *Dataset, err error) {
	defer d.h.Operation(&ctx, &err, "partition", kind, d.label())()
	if err := d.checkKeys(keys); err != nil {
		return nil, err
	}
	at, err := newPlace(ctx, d.h, target)
	if err != nil {
		return nil, err
	}
	kept := slices.DeleteFunc(d.Columns(), func(f tabular.Field) bool { return slices.Contains(keys, f.Name) })
	s := splitter{ctx: ctx, at: at, schema: kept, open: map[string]*partWriter{}, written: map[string]int{}}
	defer s.abort()
	for b, err := range d.batches(ctx, append(slices.Clone(keys), kept.Names()...), false) {
		if err != nil {
			return nil, err
		}
		if err := s.split(b, len(keys)); err != nil {
			return nil, err
		}
	}
	if err := s.flush(); err != nil {
		return nil, err
	}
	format := "{" + strings.Join(keys, "}/{") + "}/*.parquet"
	if opts != nil && opts.AsFiles {
		return &Dataset{h: d.h, def: record.DataDefinition{Type: record.DatasetFile, Paths: []record.DataPath{at.path()}, PartitionFormat: format}}, nil
	}
	return NewClient(d.h).FromParquetFiles(ctx, []Path{Path(at.path())}, &ParquetOptions{PartitionFormat: format})
}

func (d *Dataset) checkKeys(keys []string) error {
	if err := d.want(TypeTabular); err != nil {
		return err
	}
	if err := d.known(keys); err != nil {
		return err
	}
	s := d.Columns()
	if len(keys) == 0 || len(keys) == len(s) {
		return fmt.Errorf("%w: %d keys of %d columns: name at least one, and leave one", azml.ErrInvalid, len(keys), len(s))
	}
	for _, key := range keys {
		if t := s[s.Index(key)].Type; t != tabular.String && t != tabular.Int && t != tabular.Bool {
			return fmt.Errorf("%w: column %q is %s, by which nothing can be partitioned", azml.ErrInvalid, key, t)
		}
		if slices.Contains(reservedKeys, key) || strings.ContainsAny(key, "{}:") {
			return fmt.Errorf("%w: column %q can't be a key: its name is reserved", azml.ErrInvalid, key)
		}
	}
	return nil
}

// splitter sends rows to the files of their folders.
type splitter struct {
	ctx     context.Context //nolint:containedctx // one writing, one context
	at      place
	schema  tabular.Schema
	open    map[string]*partWriter
	written map[string]int // the files of a folder so far
}

// split writes a batch whose first columns are the keys.
func (s *splitter) split(b *tabular.Batch, keys int) error {
	rows := map[string][]int{}
	var order []string
	for row := range b.Rows {
		folder := ""
		for i := range keys {
			part, err := folderName(&b.Columns[i], row)
			if err != nil {
				return err
			}
			folder += part + "/"
		}
		if rows[folder] == nil {
			order = append(order, folder)
		}
		rows[folder] = append(rows[folder], row)
	}
	for _, folder := range order {
		if err := s.write(folder, pick(b.Columns[keys:], rows[folder])); err != nil {
			return err
		}
	}
	return nil
}

// pick gives the rows of the columns.
func pick(columns []tabular.Column, rows []int) *tabular.Batch {
	out := &tabular.Batch{Rows: len(rows)}
	for i := range columns {
		from := &columns[i]
		to := tabular.NewColumn(from.Field, len(rows))
		for n, row := range rows {
			switch {
			case from.Null(row):
				to.SetNull(n)
			case from.Ints != nil:
				to.Ints[n] = from.Ints[row]
			case from.Floats != nil:
				to.Floats[n] = from.Floats[row]
			case from.Bools != nil:
				to.Bools[n] = from.Bools[row]
			default:
				to.Texts[n] = from.Texts[row]
			}
		}
		out.Columns = append(out.Columns, to)
	}
	return out
}

func folderName(c *tabular.Column, row int) (string, error) {
	text := ""
	switch {
	case c.Null(row):
		return "", fmt.Errorf("%w: column %q has missing values, which can't be folders: filter them out", azml.ErrInvalid, c.Name)
	case c.Type == tabular.Int:
		text = strconv.FormatInt(c.Ints[row], 10)
	case c.Type == tabular.Bool:
		text = strconv.FormatBool(c.Bools[row])
	default:
		text = c.Texts[row]
	}
	if text == "" || len(text) > 200 || strings.ContainsAny(text, "./\\") {
		return "", fmt.Errorf("%w: the value %.60q of column %q can't be a folder", azml.ErrInvalid, text, c.Name)
	}
	return text, nil
}

func (s *splitter) write(folder string, b *tabular.Batch) error {
	w := s.open[folder]
	if w == nil {
		if len(s.open) == maxOpen {
			if err := s.flush(); err != nil {
				return err
			}
		}
		at := place{s.at.store, s.at.folder + folder}
		w = &partWriter{ctx: s.ctx, at: at, ext: ".parquet", number: s.written[folder], open: func(w io.Writer) (sink, error) { return newParquetSink(w, s.schema), nil }}
		s.open[folder] = w
	}
	return w.write(b)
}

// flush stores what is being written.
func (s *splitter) flush() error {
	for folder, w := range s.open {
		if err := w.finish(false); err != nil {
			return err
		}
		s.written[folder] = w.number
		delete(s.open, folder)
	}
	return nil
}

func (s *splitter) abort() {
	for _, w := range s.open {
		w.abort()
	}
}

package dataset

import (
	"context"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/tabular"
)

// fileRows is how many rows a written file has at most.
const fileRows = 4 << 20

// WriteOptions are the options of what writes files of a table.
type WriteOptions struct {
	// Separator stands between fields of delimited files, a comma when it is 0.
	Separator byte
}

// ToCSV writes the rows to new files of delimited text in the folder, and gives
// these as a dataset of files that is not registered. Nothing that is in the folder
// is replaced: the files are in a new folder of a random name in it. Missing values
// are empty fields, times are in ISO 8601. Errors: those of Batches, and those of
// writing to the datastore.
func (d *Dataset) ToCSV(ctx context.Context, target Path, opts *WriteOptions) (_ *Dataset, err error) {
	defer d.h.Operation(&ctx, &err, "write rows of", kind, d.label())()
	separator := ','
	if opts != nil && opts.Separator != 0 {
		separator = rune(opts.Separator)
	}
	schema := d.Columns()
	return d.export(ctx, target, ".csv", func(w io.Writer) (sink, error) { return newCSVSink(w, schema, separator) })
}

// ToParquet writes the rows to new Parquet files in the folder, compressed by zstd,
// and gives these as a dataset of files that is not registered. Nothing that is in
// the folder is replaced: the files are in a new folder of a random name in it.
// Errors: those of Batches, and those of writing to the datastore.
func (d *Dataset) ToParquet(ctx context.Context, target Path, _ *WriteOptions) (_ *Dataset, err error) {
	defer d.h.Operation(&ctx, &err, "write rows of", kind, d.label())()
	schema := d.Columns()
	return d.export(ctx, target, ".parquet", func(w io.Writer) (sink, error) { return newParquetSink(w, schema), nil })
}

// sink takes the rows of one file.
type sink interface {
	write(b *tabular.Batch) error
	close() error
}

// place is a new folder in a datastore.
type place struct {
	store  *datastore.Datastore
	folder string // ends in "/"
}

// newPlace draws a folder below the target.
func newPlace(ctx context.Context, h core.Handle, target Path) (place, error) {
	store, err := datastore.Lookup(ctx, h, target.Datastore)
	if err != nil {
		return place{}, err
	}
	folder := strings.TrimSuffix(target.Path, "/")
	if folder != "" {
		folder += "/"
	}
	return place{store, folder + core.NewUUID() + "/"}, nil
}

// path gives the folder as a path of a definition.
func (p place) path() record.DataPath {
	return record.DataPath{Datastore: p.store.Name(), Path: p.folder}
}

// export writes all rows to files at a new place.
func (d *Dataset) export(ctx context.Context, target Path, ext string, open func(io.Writer) (sink, error)) (*Dataset, error) {
	if err := d.want(TypeTabular); err != nil {
		return nil, err
	}
	at, err := newPlace(ctx, d.h, target)
	if err != nil {
		return nil, err
	}
	parts := partWriter{ctx: ctx, at: at, ext: ext, open: open}
	defer parts.abort()
	for b, err := range d.batches(ctx, d.Columns().Names(), false) {
		if err != nil {
			return nil, err
		}
		if err := parts.write(b); err != nil {
			return nil, err
		}
	}
	if err := parts.finish(true); err != nil {
		return nil, err
	}
	return &Dataset{h: d.h, def: record.DataDefinition{Type: record.DatasetFile, Paths: []record.DataPath{at.path()}}}, nil
}

// partWriter writes rows to one file after the other, each to this machine first.
type partWriter struct {
	ctx  context.Context //nolint:containedctx // one writing, one context
	at   place
	ext  string
	open func(io.Writer) (sink, error)

	number int
	rows   int
	draft  *os.File
	sink   sink
}

func (w *partWriter) write(b *tabular.Batch) (err error) {
	if w.draft == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	w.rows += b.Rows
	if err := w.sink.write(b); err != nil {
		return err
	}
	if w.rows >= fileRows {
		return w.finish(false)
	}
	return nil
}

func (w *partWriter) begin() (err error) {
	if w.draft, err = os.CreateTemp("", "azml-dataset-"); err != nil {
		return err
	}
	w.sink, err = w.open(w.draft)
	return err
}

// finish stores the file that is being written. One is stored even without rows
// when there would be none else and it is the last.
func (w *partWriter) finish(last bool) error {
	if w.draft == nil {
		if !last || w.number > 0 {
			return nil
		}
		if err := w.begin(); err != nil {
			return err
		}
	}
	defer w.abort()
	if err := w.sink.close(); err != nil {
		return err
	}
	size, err := w.draft.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	_, err = w.at.store.Write(w.ctx, fmt.Sprintf("%spart-%05d%s", w.at.folder, w.number, w.ext), io.NewSectionReader(w.draft, 0, size), nil)
	w.number++
	w.rows = 0
	return err
}

// abort removes what is not stored.
func (w *partWriter) abort() {
	if w.draft != nil {
		_, _ = w.draft.Close(), os.Remove(w.draft.Name())
		w.draft = nil
	}
}

// csvSink writes delimited text.
type csvSink struct {
	w   *csv.Writer
	row []string
}

func newCSVSink(w io.Writer, schema tabular.Schema, separator rune) (*csvSink, error) {
	s := &csvSink{csv.NewWriter(w), make([]string, len(schema))}
	s.w.Comma = separator
	return s, s.w.Write(schema.Names())
}

func (s *csvSink) write(b *tabular.Batch) error {
	for row := range b.Rows {
		for i := range b.Columns {
			s.row[i] = csvText(&b.Columns[i], row)
		}
		if err := s.w.Write(s.row); err != nil {
			return err
		}
	}
	return nil
}

func (s *csvSink) close() error {
	s.w.Flush()
	return s.w.Error()
}

// csvText gives a value as text that reads as the same value.
func csvText(c *tabular.Column, row int) string {
	switch {
	case c.Null(row):
		return ""
	case c.Type == tabular.Int:
		return strconv.FormatInt(c.Ints[row], 10)
	case c.Type == tabular.Float:
		return strconv.FormatFloat(c.Floats[row], 'g', -1, 64)
	case c.Type == tabular.Bool:
		return strconv.FormatBool(c.Bools[row])
	case c.Type == tabular.Time:
		return time.Unix(0, c.Ints[row]).UTC().Format(time.RFC3339Nano)
	case c.Type == tabular.Bytes:
		return base64.StdEncoding.EncodeToString([]byte(c.Texts[row]))
	}
	return c.Texts[row]
}

// parquetSink writes Parquet.
type parquetSink struct {
	w       *parquet.Writer
	columns []int // of the file, for each of the table
	rows    []parquet.Row
}

func newParquetSink(w io.Writer, schema tabular.Schema) *parquetSink {
	group := parquet.Group{}
	for _, f := range schema {
		group[f.Name] = parquet.Optional(parquetNode(f.Type))
	}
	shape := parquet.NewSchema("table", group)
	s := &parquetSink{columns: make([]int, len(schema))}
	for i, f := range schema {
		leaf, _ := shape.Lookup(f.Name)
		s.columns[i] = leaf.ColumnIndex
	}
	s.w = parquet.NewWriter(w, shape, parquet.Compression(&zstd.Codec{}))
	return s
}

// parquetNode gives the type of a column in a file. Decimals stay texts: their
// size is not known before the last.
func parquetNode(t tabular.Type) parquet.Node {
	switch t {
	case tabular.Int:
		return parquet.Int(64)
	case tabular.Float:
		return parquet.Leaf(parquet.DoubleType)
	case tabular.Bool:
		return parquet.Leaf(parquet.BooleanType)
	case tabular.Time:
		return parquet.Timestamp(parquet.Nanosecond)
	case tabular.Bytes:
		return parquet.Leaf(parquet.ByteArrayType)
	case tabular.Nested:
		return parquet.JSON()
	}
	return parquet.String()
}

func (s *parquetSink) write(b *tabular.Batch) error {
	const atOnce = 1024
	for begin := 0; begin < b.Rows; begin += atOnce {
		end := min(begin+atOnce, b.Rows)
		s.rows = s.rows[:0]
		for row := begin; row < end; row++ {
			values := make(parquet.Row, len(b.Columns))
			for i := range b.Columns {
				values[s.columns[i]] = parquetValue(&b.Columns[i], row, s.columns[i])
			}
			s.rows = append(s.rows, values)
		}
		if _, err := s.w.WriteRows(s.rows); err != nil {
			return err
		}
	}
	return nil
}

func (s *parquetSink) close() error { return s.w.Close() }

func parquetValue(c *tabular.Column, row, column int) parquet.Value {
	if c.Null(row) {
		return parquet.NullValue().Level(0, 0, column)
	}
	var v parquet.Value
	switch c.Type {
	case tabular.Int, tabular.Time:
		v = parquet.Int64Value(c.Ints[row])
	case tabular.Float:
		v = parquet.DoubleValue(c.Floats[row])
	case tabular.Bool:
		v = parquet.BooleanValue(c.Bools[row])
	default:
		v = parquet.ByteArrayValue([]byte(c.Texts[row]))
	}
	return v.Level(0, 1, column)
}

// Write writes rows to new Parquet files in the folder, compressed by zstd, and
// registers them as a table in one call. T is a struct; its fields become columns
// as package parquet-go maps them, by their tags `parquet:"name"`. Nothing that is
// in the folder is replaced: the files are in a new folder of a random name in it.
// An error of rows ends it, and nothing is registered then. Errors: those of
// Register, and those of writing to the datastore.
func Write[T any](ctx context.Context, c *Client, name string, target Path, rows iter.Seq2[T, error], opts *RegisterOptions) (_ *Dataset, err error) {
	defer c.h.Operation(&ctx, &err, "write", kind, name)()
	if reflect.TypeFor[T]().Kind() != reflect.Struct {
		return nil, fmt.Errorf("%w: %s is no struct", azml.ErrInvalid, reflect.TypeFor[T]())
	}
	if opts == nil {
		opts = &RegisterOptions{}
	}
	if err := opts.check(name); err != nil {
		return nil, err
	}
	if err := (&Dataset{h: c.h}).free(ctx, name, opts); err != nil { // before anything is written
		return nil, err
	}
	at, err := newPlace(ctx, c.h, target)
	if err != nil {
		return nil, err
	}
	if err := writeRows(ctx, at, rows); err != nil {
		return nil, err
	}
	d, err := c.FromParquetFiles(ctx, []Path{Path(at.path())}, nil)
	if err != nil {
		return nil, err
	}
	return d.Register(ctx, name, opts)
}

// writeRows writes structs to one Parquet file.
func writeRows[T any](ctx context.Context, at place, rows iter.Seq2[T, error]) error {
	draft, err := os.CreateTemp("", "azml-dataset-")
	if err != nil {
		return err
	}
	defer func() { _, _ = draft.Close(), os.Remove(draft.Name()) }()
	w := parquet.NewGenericWriter[T](draft, parquet.Compression(&zstd.Codec{}))
	chunk := make([]T, 0, 1024)
	for row, err := range rows {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if chunk = append(chunk, row); len(chunk) == cap(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return err
			}
			chunk = chunk[:0]
		}
	}
	if _, err := w.Write(chunk); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	size, err := draft.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	_, err = at.store.Write(ctx, path.Join(at.folder, "part-00000.parquet"), io.NewSectionReader(draft, 0, size), nil)
	return err
}

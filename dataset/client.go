package dataset

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/delimited"
	"github.com/azml-go/azml/internal/jsonlines"
	"github.com/azml-go/azml/internal/parquetfile"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/tabular"
)

const kind = "dataset"

// Client makes, registers and finds datasets of a workspace. It is safe for
// concurrent use.
type Client struct{ h core.Handle }

// FilesOptions are the options of Client.FromFiles.
type FilesOptions struct {
	// PartitionFormat says which parts of the paths are columns, such as
	// "{country}/{day:yyyy/MM/dd}/*.jpg", from the first key to the end of a path.
	PartitionFormat string
	// SkipValidation makes a dataset of files that need not be there yet.
	SkipValidation bool
}

// FromFiles gives the files of the paths as a dataset that is not registered. Each
// path is looked at until there is a file; with a partition format all files are
// listed. Errors: ErrInvalid, ErrNotFound.
func (c *Client) FromFiles(ctx context.Context, paths []Path, opts *FilesOptions) (_ *Dataset, err error) {
	defer c.h.Operation(&ctx, &err, "create", kind, "of files")()
	if opts == nil {
		opts = &FilesOptions{}
	}
	def := record.DataDefinition{Type: record.DatasetFile, PartitionFormat: opts.PartitionFormat}
	if def.Paths, err = resolve(ctx, c.h, paths, !opts.SkipValidation); err != nil {
		return nil, err
	}
	switch {
	case opts.PartitionFormat != "":
		_, err = c.listed(ctx, &def, opts.SkipValidation)
	case !opts.SkipValidation:
		err = findAny(ctx, c.h, def.Paths)
	}
	return c.made(def, err)
}

// made gives the dataset of a definition, unless there was an error.
func (c *Client) made(def record.DataDefinition, err error) (*Dataset, error) {
	if err != nil {
		return nil, err
	}
	return &Dataset{h: c.h, def: def}, nil
}

// listed checks the partition format of a definition and, unless validation is
// skipped, lists the files.
func (c *Client) listed(ctx context.Context, def *record.DataDefinition, skip bool) (entries []entry, err error) {
	var p *partitions
	if def.PartitionFormat != "" {
		if p, err = parsePartitions(def.PartitionFormat); err != nil {
			return nil, err
		}
	}
	if skip {
		return nil, nil
	}
	if entries, err = list(ctx, c.h, def.Paths, false); err != nil || p == nil {
		return entries, err
	}
	for _, e := range entries {
		if _, err := p.values(e.Path); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// TableOptions are what the options of all tables of files have in common.
type TableOptions struct {
	// Types are the types of columns by name. They win over what the values look
	// like.
	Types map[string]tabular.Type
	// TimeLayouts are the forms of the times of columns by name, in the words of
	// package time, such as "02.01.2006 15:04"; the first that fits counts. Without
	// one a column has times in ISO 8601. Not for Parquet.
	TimeLayouts map[string][]string
	// SampleRows is how many rows are looked at for the types of columns: 200 when
	// it is 0; below 0 none, so that all columns without a type are texts. Not for
	// Parquet, which has types.
	SampleRows int
	// NullOnError makes a value that doesn't fit its column's type missing, instead
	// of an error that names the file and the row.
	NullOnError bool
	// Encoding is "utf8" (the default), "utf8bom", "utf16", "utf32", "latin1",
	// "iso88591", "ascii" or "windows1252". Not for Parquet.
	Encoding string
	// IncludePath adds a column of this name with the path of the file that a row
	// is from, such as "/data/a.csv".
	IncludePath string
	// PartitionFormat says which parts of the paths are columns, too, such as
	// "{country}/{day:yyyy/MM/dd}/*.csv", from the first key to the end of a path.
	PartitionFormat string
}

// sampleRows is how many rows are looked at by default, as in Azure ML.
const sampleRows = 200

func (o TableOptions) sample() int {
	if o.SampleRows == 0 {
		return sampleRows
	}
	return max(0, o.SampleRows)
}

// definition begins a definition of a table.
func (o TableOptions) definition(format record.DataFormat) record.DataDefinition {
	format.Encoding, format.Layouts, format.NullOnError, format.IncludePath = o.Encoding, o.TimeLayouts, o.NullOnError, o.IncludePath
	return record.DataDefinition{Type: record.DatasetTabular, PartitionFormat: o.PartitionFormat, Format: &format}
}

// Header says which delimited files begin with names of columns.
type Header = delimited.HeaderMode

// The kinds of headers.
const (
	// HeaderSame is for files that all begin with the same names: the default.
	HeaderSame = delimited.HeaderSame
	// HeaderNone is for files without names: columns are Column1, Column2 ….
	HeaderNone = delimited.HeaderNone
	// HeaderFirst is for files of which only the first begins with names.
	HeaderFirst = delimited.HeaderFirst
	// HeaderCombine is for files that each begin with names of their own: a column
	// is missing in the rows of files that lack it.
	HeaderCombine = delimited.HeaderCombine
)

// DelimitedOptions are the options of Client.FromDelimitedFiles.
type DelimitedOptions struct {
	TableOptions
	// Separator stands between fields: an ASCII character, a comma when it is 0.
	Separator byte
	// Header says which files begin with names of columns.
	Header Header
	// EmptyAsString makes empty fields of text columns empty texts; else they are
	// missing, as they always are in other columns.
	EmptyAsString bool
	// Nulls are texts that mean that a value is missing, such as "NA".
	Nulls []string
}

// FromDelimitedFiles gives the rows of text files with fields between separators,
// by RFC 4180: fields in double quotes may have separators, line breaks and doubled
// quotes. Files whose names end in ".gz" are unpacked. The types of columns are
// those of the first rows, and are part of the definition from then on. Errors:
// ErrInvalid, ErrNotFound.
func (c *Client) FromDelimitedFiles(ctx context.Context, paths []Path, opts *DelimitedOptions) (_ *Dataset, err error) {
	defer c.h.Operation(&ctx, &err, "create", kind, "of delimited files")()
	if opts == nil {
		opts = &DelimitedOptions{}
	}
	format := record.DataFormat{Kind: record.FormatDelimited, Header: string(opts.Header), EmptyAsString: opts.EmptyAsString, Nulls: opts.Nulls}
	if opts.Separator != 0 {
		format.Separator = string(rune(opts.Separator))
	}
	def := opts.definition(format)
	return c.table(ctx, def, paths, func(entries []entry) (tabular.Schema, error) {
		return delimited.Infer(ctx, tableFiles(entries), opts.Types, opts.sample(), delimitedOptions(def.Format, opts.NullOnError, nil))
	})
}

// JSONLinesOptions are the options of Client.FromJSONLinesFiles.
type JSONLinesOptions struct {
	TableOptions
	// DropInvalid passes over lines that are no JSON objects; else they are errors.
	DropInvalid bool
}

// FromJSONLinesFiles gives the rows of text files with a JSON object a line. The
// columns are the members of the first objects; lists and objects within are
// columns of type nested. Files whose names end in ".gz" are unpacked. Errors:
// ErrInvalid, ErrNotFound.
func (c *Client) FromJSONLinesFiles(ctx context.Context, paths []Path, opts *JSONLinesOptions) (_ *Dataset, err error) {
	defer c.h.Operation(&ctx, &err, "create", kind, "of JSON lines")()
	if opts == nil {
		opts = &JSONLinesOptions{}
	}
	def := opts.definition(record.DataFormat{Kind: record.FormatJSONLines, DropInvalid: opts.DropInvalid})
	return c.table(ctx, def, paths, func(entries []entry) (tabular.Schema, error) {
		return jsonlines.Infer(ctx, tableFiles(entries), opts.Types, opts.sample(), jsonOptions(def.Format, opts.NullOnError))
	})
}

// ParquetOptions are the options of Client.FromParquetFiles.
type ParquetOptions struct {
	// NullOnError makes times before 1678 and after 2262 missing instead of errors.
	NullOnError bool
	// IncludePath adds a column of this name with the path of the file that a row
	// is from.
	IncludePath string
	// PartitionFormat says which parts of the paths are columns, too.
	PartitionFormat string
}

// FromParquetFiles gives the rows of Parquet files, which must all have the columns
// of the first. Lists, maps and structs are columns of type nested, decimals of type
// decimal. Errors: ErrInvalid, ErrNotFound, ErrUnsupported for files compressed by
// the old form of LZ4 and encrypted ones.
func (c *Client) FromParquetFiles(ctx context.Context, paths []Path, opts *ParquetOptions) (_ *Dataset, err error) {
	defer c.h.Operation(&ctx, &err, "create", kind, "of Parquet files")()
	if opts == nil {
		opts = &ParquetOptions{}
	}
	def := record.DataDefinition{Type: record.DatasetTabular, PartitionFormat: opts.PartitionFormat,
		Format: &record.DataFormat{Kind: record.FormatParquet, NullOnError: opts.NullOnError, IncludePath: opts.IncludePath}}
	return c.table(ctx, def, paths, func(entries []entry) (tabular.Schema, error) {
		return parquetfile.Infer(ctx, tableFiles(entries))
	})
}

// table makes a dataset of files with tables.
func (c *Client) table(ctx context.Context, def record.DataDefinition, paths []Path, infer func([]entry) (tabular.Schema, error)) (_ *Dataset, err error) {
	if def.Paths, err = resolve(ctx, c.h, paths, true); err != nil {
		return nil, err
	}
	entries, err := c.listed(ctx, &def, false)
	if err != nil {
		return nil, err
	}
	if def.Columns, err = infer(nonEmpty(entries)); err != nil {
		return nil, err
	}
	d := &Dataset{h: c.h, def: def}
	seen := map[string]bool{}
	for _, f := range d.source() {
		if seen[f.Name] {
			return nil, fmt.Errorf("%w: column %q is in the files and comes from their paths, too: name it otherwise", azml.ErrInvalid, f.Name)
		}
		seen[f.Name] = true
	}
	return d, nil
}

// SQLOptions are the options of Client.FromSQLQuery.
type SQLOptions struct {
	// Timeout bounds the query and the reading of its rows, 30 s when it is 0.
	Timeout time.Duration
	// Types are the types of columns by name.
	Types map[string]tabular.Type
}

// FromSQLQuery gives the rows of a query, one SELECT or WITH statement, of a
// datastore that is a database. The query is asked once to see its columns.
// Errors: ErrInvalid for anything but a query and one that the database refuses.
func (c *Client) FromSQLQuery(ctx context.Context, store, query string, opts *SQLOptions) (_ *Dataset, err error) {
	defer c.h.Operation(&ctx, &err, "create", kind, "of a query")()
	if opts == nil {
		opts = &SQLOptions{}
	}
	if strings.TrimSpace(query) == "" {
		return nil, fmt.Errorf("%w: the query is empty", azml.ErrInvalid)
	}
	s, err := datastore.Lookup(ctx, c.h, store)
	if err != nil {
		return nil, err
	}
	def := record.DataDefinition{Type: record.DatasetTabular, Query: &record.DataQuery{Datastore: s.Name(), Text: query, Timeout: opts.Timeout.Milliseconds()}}
	if def.Columns, err = inferQuery(ctx, s, def.Query, opts.Types); err != nil {
		return nil, err
	}
	return c.made(def, nil)
}

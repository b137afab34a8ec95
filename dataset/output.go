package dataset

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/delimited"
	"github.com/azml-go/azml/internal/record"
)

// Output is a folder of files that a run makes under a name.
type Output struct {
	// Target is the folder in a datastore, in which "{run-id}" and "{output-name}"
	// stand for these, and nothing else is in braces. The default is
	// "dataset/{run-id}/{output-name}" in the workspace's default datastore.
	Target Path
	// Mode is ModeUpload or ModeMount; ModeUpload when empty.
	Mode Mode
	// PathOnCompute is where the script writes: a path below its working folder, or
	// an absolute one; nothing is in the folder before. Empty for a folder of the
	// run's.
	PathOnCompute string
	// Globs are patterns of paths below the folder, of which a file must fit one: "*"
	// is any part of a name, "?" a character, "**" any number of folders. All files
	// are taken when there is none.
	Globs []string
	// Overwrite replaces files that are in the target; without it one that is there
	// fails the run before anything is stored.
	Overwrite bool
	// Register is the name under which the folder is registered as the next version
	// of a dataset when all of it is stored; empty for an output that is saved
	// without a name. Only a run that has ended well registers.
	Register string
	// Description is the version's: free text of at most 5,000 characters.
	Description string
	// Tags are the version's.
	Tags map[string]string
	// Delimited registers the rows of delimited files, JSONLines and Parquet those of
	// such files; at most one is set. Else the files are registered as they are.
	Delimited *DelimitedOptions
	// JSONLines registers the rows of JSON lines.
	JSONLines *JSONLinesOptions
	// Parquet registers the rows of Parquet files.
	Parquet *ParquetOptions
}

// defaultTarget is Azure ML's.
const defaultTarget = "dataset/{run-id}/{output-name}"

// maxGlobs bounds the patterns of an output.
const maxGlobs = 1000

// plan checks the output and gives what a run's record says of it.
func (o Output) plan(ctx context.Context, h core.Handle, name string) (record.DataOutput, error) {
	out := record.DataOutput{Name: name, Mode: string(cmp.Or(o.Mode, ModeUpload)), Path: strings.TrimSuffix(cmp.Or(o.Target.Path, defaultTarget), "/"),
		PathOnCompute: o.PathOnCompute, Globs: slices.Clone(o.Globs), Overwrite: o.Overwrite}
	if m := Mode(out.Mode); m != ModeUpload && m != ModeMount {
		return out, fmt.Errorf("%w: mode %q: an output is %s or %s", azml.ErrInvalid, o.Mode, ModeUpload, ModeMount)
	}
	if err := checkTemplate(out.Path); err != nil {
		return out, err
	}
	if len(o.Globs) > maxGlobs {
		return out, fmt.Errorf("%w: %d patterns of files: give at most %d", azml.ErrInvalid, len(o.Globs), maxGlobs)
	}
	for _, glob := range o.Globs {
		if _, err := path.Match(strings.ReplaceAll(glob, "**", "*"), ""); err != nil || glob == "" {
			return out, fmt.Errorf("%w: pattern of files %q: %w", azml.ErrInvalid, glob, cmp.Or(err, path.ErrBadPattern))
		}
	}
	var err error
	if out.Register, err = o.registration(); err != nil {
		return out, err
	}
	store, err := datastore.Lookup(ctx, h, o.Target.Datastore)
	if err != nil {
		return out, err
	}
	out.Datastore = store.Name()
	return out, nil
}

// checkTemplate looks at the path as it will be.
func checkTemplate(template string) error {
	at := filled(template, "run", "output")
	if strings.ContainsAny(at, "{}") {
		return fmt.Errorf("%w: target %q: only {run-id} and {output-name} stand for something", azml.ErrInvalid, template)
	}
	if wild(at) {
		return fmt.Errorf("%w: target %q: a folder has no wildcards", azml.ErrInvalid, template)
	}
	return backend.ValidKey(at)
}

// filled puts the names into the path.
func filled(template, run, output string) string {
	return strings.NewReplacer("{run-id}", run, "{output-name}", output).Replace(template)
}

// registration gives how the output is registered, nil when it is not.
func (o Output) registration() (*record.OutputRegistration, error) {
	table, err := o.table()
	switch {
	case err != nil:
		return nil, err
	case o.Register == "" && (o.Description != "" || len(o.Tags) > 0 || table != nil):
		return nil, fmt.Errorf("%w: description, tags and kind of table are a version's: name the dataset (Register)", azml.ErrInvalid)
	case o.Register == "":
		return nil, nil
	}
	opts := RegisterOptions{Description: o.Description, Tags: o.Tags}
	if err := opts.check(o.Register); err != nil {
		return nil, err
	}
	return &record.OutputRegistration{Name: o.Register, Description: o.Description, Tags: maps.Clone(o.Tags), Table: table}, nil
}

// table gives how the files are read as a table, nil for files as they are.
func (o Output) table() (*record.OutputTable, error) {
	var tables []*record.OutputTable
	if p := o.Delimited; p != nil {
		format := record.DataFormat{Kind: record.FormatDelimited, Header: string(p.Header), EmptyAsString: p.EmptyAsString, Nulls: p.Nulls}
		if p.Separator != 0 {
			format.Separator = string(rune(p.Separator))
		}
		tables = append(tables, p.stored(format))
	}
	if p := o.JSONLines; p != nil {
		tables = append(tables, p.stored(record.DataFormat{Kind: record.FormatJSONLines, DropInvalid: p.DropInvalid}))
	}
	if p := o.Parquet; p != nil {
		t := TableOptions{NullOnError: p.NullOnError, IncludePath: p.IncludePath, PartitionFormat: p.PartitionFormat}
		tables = append(tables, t.stored(record.DataFormat{Kind: record.FormatParquet}))
	}
	switch len(tables) {
	case 0:
		return nil, nil
	case 1:
		if f := tables[0].PartitionFormat; f != "" {
			if _, err := parsePartitions(f); err != nil {
				return nil, err
			}
		}
		return tables[0], nil
	}
	return nil, fmt.Errorf("%w: an output is a table of one kind: set one of Delimited, JSONLines and Parquet", azml.ErrInvalid)
}

// stored gives the options as a run's record has them.
func (o TableOptions) stored(format record.DataFormat) *record.OutputTable {
	def := o.definition(format)
	return &record.OutputTable{Format: *def.Format, Types: maps.Clone(o.Types), SampleRows: o.SampleRows, PartitionFormat: o.PartitionFormat}
}

// dataset gives the files of the output's folder as it is to be registered.
func outputDataset(ctx context.Context, h core.Handle, out record.DataOutput, at Path) (*Dataset, error) {
	c, paths := NewClient(h), []Path{at}
	if out.Register == nil || out.Register.Table == nil {
		return c.FromFiles(ctx, paths, nil)
	}
	t := out.Register.Table
	f := t.Format
	common := TableOptions{Types: t.Types, TimeLayouts: f.Layouts, SampleRows: t.SampleRows, NullOnError: f.NullOnError, Encoding: f.Encoding,
		IncludePath: f.IncludePath, PartitionFormat: t.PartitionFormat}
	switch f.Kind {
	case record.FormatDelimited:
		opts := DelimitedOptions{TableOptions: common, Header: delimited.HeaderMode(f.Header), EmptyAsString: f.EmptyAsString, Nulls: f.Nulls}
		if f.Separator != "" {
			opts.Separator = f.Separator[0]
		}
		return c.FromDelimitedFiles(ctx, paths, &opts)
	case record.FormatJSONLines:
		return c.FromJSONLinesFiles(ctx, paths, &JSONLinesOptions{TableOptions: common, DropInvalid: f.DropInvalid})
	case record.FormatParquet:
		return c.FromParquetFiles(ctx, paths, &ParquetOptions{NullOnError: f.NullOnError, IncludePath: f.IncludePath, PartitionFormat: t.PartitionFormat})
	}
	return nil, fmt.Errorf("%w: it is read as %q, which this azml does not know: update azml", azml.ErrUnsupported, f.Kind)
}

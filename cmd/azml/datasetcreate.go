package main

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/tabular"
	"github.com/azml-go/azml/workspace"
)

// definitionFlags say what the data of a dataset is.
type definitionFlags struct {
	format, separator, header, encoding, partitions, includePath string
	store, query, filter                                         string
	types                                                        *pairs
	nulls, keep                                                  []string
	emptyAsString, nullOnError, dropInvalid, skipValidation      bool
	sampleRows                                                   int
	timeout                                                      time.Duration
}

func newDefinitionFlags(cmd *cobra.Command) *definitionFlags {
	d := &definitionFlags{}
	f := cmd.Flags()
	f.StringVar(&d.format, "format", "", "delimited, jsonlines, parquet or files (default: by the ending of the first path)")
	f.StringVar(&d.store, "datastore", "", "datastore of the paths or the query (default: the workspace's default)")
	f.StringVar(&d.query, "query", "", "SELECT statement to ask the datastore, instead of paths")
	f.DurationVar(&d.timeout, "timeout", 30*time.Second, "how long the query and the reading of its rows may take")
	f.StringVar(&d.separator, "separator", ",", "what stands between fields, \\t for a tab")
	f.StringVar(&d.header, "header", "same", "which files begin with names of columns: same, none, first or combine")
	f.StringVar(&d.encoding, "encoding", "", "encoding of text: utf8, utf8bom, utf16, utf32, latin1, iso88591, ascii or windows1252")
	d.types = tagsFlag(cmd, "type", "type of a column, as COLUMN=TYPE with string, long, float, bool or datetime")
	d.types.example = "COLUMN=TYPE"
	f.StringSliceVar(&d.nulls, "null", nil, "text that means that a value is missing, such as NA (repeatable)")
	f.BoolVar(&d.emptyAsString, "empty-as-string", false, "empty fields of text columns are empty texts, not missing")
	f.BoolVar(&d.nullOnError, "null-on-error", false, "values that don't fit their column are missing, not errors")
	f.BoolVar(&d.dropInvalid, "drop-invalid", false, "pass over lines that are no JSON objects")
	f.IntVar(&d.sampleRows, "sample-rows", 200, "rows to look at for the types of columns; 0 makes all of them texts")
	f.StringVar(&d.includePath, "include-path", "", "name of a column for the path of the file that a row is from")
	f.StringVar(&d.partitions, "partition-format", "", "parts of the paths that are columns, such as {country}/{day:yyyy/MM/dd}/*.csv")
	f.BoolVar(&d.skipValidation, "skip-validation", false, "don't look whether files are there (of --format files)")
	f.StringVar(&d.filter, "where", "", "only rows or files of which this is true, such as \"age >= 18 and country in ('CH', 'LI')\"")
	f.StringSliceVar(&d.keep, "keep", nil, "only these columns, with commas between them")
	cmd.MarkFlagsMutuallyExclusive("query", "format")
	return d
}

// make makes the dataset of the paths, or of the query.
func (d *definitionFlags) make(ctx context.Context, ws *workspace.Workspace, args []string) (*dataset.Dataset, error) {
	made, err := d.source(ctx, ws, args)
	if err == nil && d.filter != "" {
		made, err = made.Filter(d.filter)
	}
	if err == nil && len(d.keep) > 0 {
		made, err = made.KeepColumns(d.keep...)
	}
	return made, err
}

func (d *definitionFlags) source(ctx context.Context, ws *workspace.Workspace, args []string) (*dataset.Dataset, error) {
	types := map[string]tabular.Type{}
	for name, word := range d.types.values {
		t, err := tabular.ParseType(word)
		if err != nil {
			return nil, err
		}
		types[name] = t
	}
	if d.query != "" {
		if len(args) > 0 {
			return nil, usage("give paths or --query, not both")
		}
		return ws.Datasets().FromSQLQuery(ctx, d.store, d.query, &dataset.SQLOptions{Types: types, Timeout: d.timeout})
	}
	if len(args) == 0 {
		return nil, usage("say where the data is: a path of a datastore, or --query")
	}
	paths := make([]dataset.Path, len(args))
	for i, arg := range args {
		p, err := dataset.ParsePath(arg)
		if err != nil {
			return nil, err
		}
		if p.Datastore == "" {
			p.Datastore = d.store
		}
		paths[i] = p
	}
	return d.files(ctx, ws.Datasets(), paths, types)
}

func (d *definitionFlags) files(ctx context.Context, c *dataset.Client, paths []dataset.Path, types map[string]tabular.Type) (*dataset.Dataset, error) {
	format := d.format
	if format == "" {
		format = formatOf(paths[0].Path)
	}
	table := dataset.TableOptions{Types: types, SampleRows: d.sampleRows, NullOnError: d.nullOnError, Encoding: d.encoding, IncludePath: d.includePath, PartitionFormat: d.partitions}
	if d.sampleRows == 0 {
		table.SampleRows = -1
	}
	switch format {
	case "delimited":
		separator := strings.ReplaceAll(d.separator, `\t`, "\t")
		if len(separator) != 1 {
			return nil, usage("separator %q: use one character", d.separator)
		}
		header := dataset.Header(d.header)
		if d.header == "same" {
			header = dataset.HeaderSame
		}
		return c.FromDelimitedFiles(ctx, paths, &dataset.DelimitedOptions{TableOptions: table, Separator: separator[0], Header: header, EmptyAsString: d.emptyAsString, Nulls: d.nulls})
	case "jsonlines":
		return c.FromJSONLinesFiles(ctx, paths, &dataset.JSONLinesOptions{TableOptions: table, DropInvalid: d.dropInvalid})
	case "parquet":
		if len(types) > 0 {
			return nil, usage("--type is not for Parquet, which has types")
		}
		return c.FromParquetFiles(ctx, paths, &dataset.ParquetOptions{NullOnError: d.nullOnError, IncludePath: d.includePath, PartitionFormat: d.partitions})
	case "files":
		return c.FromFiles(ctx, paths, &dataset.FilesOptions{PartitionFormat: d.partitions, SkipValidation: d.skipValidation})
	}
	return nil, usage("format %q: use delimited, jsonlines, parquet or files", format)
}

// formatOf tells the format by the ending of a path.
func formatOf(name string) string {
	switch path.Ext(strings.TrimSuffix(strings.ToLower(name), ".gz")) {
	case ".csv", ".tsv", ".txt":
		return "delimited"
	case ".jsonl", ".ndjson":
		return "jsonlines"
	case ".parquet":
		return "parquet"
	}
	return "files"
}

const pathsHelp = `A PATH is a file, a folder or a pattern (*, ?, **) in a datastore: a path in the default
one or in that of --datastore, or azureml://datastores/NAME/paths/PATH; or the URL of a
file on the web. No data is copied.`

func (a *app) datasetCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create PATH...|--query TEXT",
		Short: "Keep the definition of a dataset without a name, and print its ID",
		Long:  "Keep the definition of a dataset without a name, and print its ID. The same definition has\nthe same ID.\n\n" + pathsHelp,
		Example: `  azml dataset create 'raw/*.csv' --type zip=string
  azml dataset create raw/images --format files`,
	}
	def := newDefinitionFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			d, err := def.make(cmd.Context(), ws, args)
			if err != nil {
				return err
			}
			if err := d.Save(cmd.Context(), nil); err != nil {
				return err
			}
			return a.show(d.Details(), func(t *table) { t.line(d.ID()) })
		})
	}
	return cmd
}

func (a *app) datasetRegister() *cobra.Command {
	var opts dataset.RegisterOptions
	var id, upload string
	cmd := &cobra.Command{
		Use:   "register NAME PATH...|--query TEXT|--id ID",
		Short: "Register data as a dataset, or as the next version of one",
		Long:  "Register data as a dataset, or with --new-version as the next version of one, and note\nwhich files there are, so that `azml dataset check` can tell what has changed.\n\n" + pathsHelp,
		Example: `  azml dataset register titanic 'raw/titanic-*.csv' --tag team=risk
  azml dataset register adults 'raw/titanic-*.csv' --where "age >= 18"
  azml dataset register sales --datastore db --query "SELECT * FROM sales"
  azml dataset register images img/ --upload ./images
  azml dataset register iris https://example.org/iris.csv`,
		Args: between(1, -1, "a name"),
	}
	def := newDefinitionFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&id, "id", "", "ID of a definition that was created, instead of paths")
	f.StringVar(&upload, "upload", "", "store the files of this folder of this machine in the folder PATH first, but for those that are there")
	f.StringVar(&opts.Description, "description", "", "description of the dataset")
	f.BoolVar(&opts.CreateNewVersion, "new-version", false, "make the next version when the name is taken")
	f.BoolVar(&opts.Digests, "digests", false, "read all files and note the digests of their contents")
	tags := tagsFlag(cmd, "tag", "tag of the dataset")
	cmd.MarkFlagsMutuallyExclusive("id", "query", "upload")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		opts.Tags = tags.values
		return a.with(cmd.Context(), func(ws *workspace.Workspace) (err error) {
			var d *dataset.Dataset
			if upload != "" {
				if err := a.uploadFirst(cmd.Context(), ws, def.store, upload, args[1:]); err != nil {
					return err
				}
			}
			if id == "" {
				d, err = def.make(cmd.Context(), ws, args[1:])
			} else if d, err = ws.Datasets().GetByID(cmd.Context(), id, nil); len(args) > 1 {
				return usage("give paths or --id, not both")
			}
			if err != nil {
				return err
			}
			if d, err = d.Register(cmd.Context(), args[0], &opts); err != nil {
				return err
			}
			return a.show(d.Details(), func(t *table) { t.line(datasetID(d)) })
		})
	}
	return cmd
}

// uploadFirst stores the files of a folder where the one path of a dataset is.
func (a *app) uploadFirst(ctx context.Context, ws *workspace.Workspace, store, dir string, paths []string) error {
	if len(paths) != 1 {
		return usage("--upload: name one folder to store the files in")
	}
	target, err := dataset.ParsePath(paths[0])
	if err != nil {
		return err
	}
	if target.Datastore == "" {
		target.Datastore = store
	}
	p := a.progress()
	_, err = ws.Datasets().UploadFiles(ctx, dir, target, &dataset.UploadOptions{Progress: p.files("uploading")})
	p.clear()
	return err
}

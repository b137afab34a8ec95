package main

import (
	"fmt"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/workspace"
)

func (a *app) datasetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dataset",
		Short: "Create, register, look at and check datasets: references to data, versioned",
		Example: `  azml dataset register titanic 'raw/titanic-*.csv'
  azml dataset head titanic
  azml dataset profile titanic
  azml dataset check titanic:1`,
	}
	cmd.AddCommand(a.datasetCreate(), a.datasetRegister(), a.datasetList(), a.datasetVersions(), a.datasetShow(), a.datasetHead(),
		a.datasetProfile(), a.datasetCheck(), a.datasetConsumers(), a.datasetDownload(), a.datasetDelete(), a.datasetLabel())
	return cmd
}

// datasetWord is how commands call the argument that names a dataset.
const datasetWord = "a dataset as NAME, NAME:VERSION or an ID"

func (a *app) completeDatasets() completion {
	return complete(a, 1, func(cmd *cobra.Command, ws *workspace.Workspace) iter.Seq2[*dataset.Dataset, error] {
		return ws.Datasets().List(cmd.Context(), nil)
	}, datasetID)
}

func datasetID(d *dataset.Dataset) string {
	if d.Name() == "" {
		return d.ID()
	}
	return fmt.Sprintf("%s:%d", d.Name(), d.Version())
}

func (a *app) datasetList() *cobra.Command {
	opts := dataset.ListOptions{Latest: true}
	var every bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List datasets by name with their latest versions, or search them",
		Long:  "List datasets by name with their latest versions, or search all versions by a filter.\n\n" + filterHelp("dataset"),
		Example: `  azml dataset list
  azml dataset list --all --tag team=risk
  azml dataset list --filter "name like 'churn%' and size > 1e6" --order-by "creation_timestamp desc"`,
		Args: noArgs,
	}
	search := searchFlags(cmd)
	cmd.Flags().BoolVar(&every, "all", false, "all versions, not only the latest")
	tags := filterFlag(cmd, "tag", "only datasets with this tag")
	cmd.MarkFlagsMutuallyExclusive("all", "filter")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opts.Tags, opts.Latest = tags.values, !every
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			list := ws.Datasets().List(cmd.Context(), &opts)
			if search.given() {
				list = ws.Datasets().Search(cmd.Context(), search.with(hasTags(opts.Tags)), &dataset.SearchOptions{OrderBy: search.orderBy})
			}
			return a.showDatasets(list)
		})
	}
	return cmd
}

func (a *app) datasetVersions() *cobra.Command {
	return &cobra.Command{
		Use:               "versions NAME",
		Short:             "List all versions of a dataset, the newest first",
		Example:           "  azml dataset versions titanic",
		Args:              exactly(1, "the name of a dataset"),
		ValidArgsFunction: a.completeDatasets(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				return a.showDatasets(ws.Datasets().List(cmd.Context(), &dataset.ListOptions{Name: args[0]}))
			})
		},
	}
}

func (a *app) showDatasets(list iter.Seq2[*dataset.Dataset, error]) error {
	found, err := collect(list, 0, (*dataset.Dataset).Details)
	if err != nil {
		return err
	}
	return showList(a, found, "No datasets.", func(t *table) {
		t.row("DATASET", "TYPE", "CREATED", "FILES", "SIZE", "TAGS")
		for _, d := range found {
			t.row(fmt.Sprintf("%s:%d", d.Name, d.Version), d.Type, ago(d.Created), d.Files, size(d.Bytes), tagCell(d.Tags))
		}
	})
}

func (a *app) datasetShow() *cobra.Command {
	return a.onDataset("show", "Show what a dataset is and where its data lies", func(_ *cobra.Command, d *dataset.Dataset) error {
		return a.show(d.Details(), func(t *table) { drawDataset(t, d.Details()) })
	})
}

// onDataset is a command that does something with one dataset.
func (a *app) onDataset(verb, short string, do func(*cobra.Command, *dataset.Dataset) error) *cobra.Command {
	return &cobra.Command{
		Use:               verb + " NAME[:VERSION]|ID",
		Short:             short,
		Example:           "  azml dataset " + verb + " titanic:1",
		Args:              exactly(1, datasetWord),
		ValidArgsFunction: a.completeDatasets(),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
				d, err := ws.Datasets().GetByID(cmd.Context(), args[0], nil)
				if err != nil {
					return err
				}
				return do(cmd, d)
			})
		},
	}
}

func drawDataset(t *table, d dataset.Details) {
	if d.Name != "" {
		t.field("Dataset", fmt.Sprintf("%s:%d", d.Name, d.Version))
	}
	t.field("ID", d.ID)
	t.field("Type", d.Type)
	t.field("Format", d.Format)
	t.field("Description", d.Description)
	if d.Name != "" {
		t.field("Created", when(d.Created)+" by "+d.CreatedBy)
		t.field("Data", fmt.Sprintf("%s in %s, changed %s", size(d.Bytes), count(int(d.Files), "file"), when(d.DataChanged)))
	}
	if d.Labels != nil {
		t.field("Labels of", d.Labels.Of)
		t.field("Key", d.Labels.Key)
	}
	t.field("Query", d.Query)
	t.field("Partitions", d.PartitionFormat)
	t.field("Timestamp", d.Timestamp)
	for _, p := range d.Paths {
		t.field("Path", p)
	}
	for _, s := range d.Steps {
		t.field("Step", s)
	}
	t.labels("Tags", d.Tags)
	if len(d.Columns) > 0 {
		t.heading("Columns")
		for _, c := range d.Columns {
			t.row("  "+c.Name, c.Type)
		}
	}
}

func (a *app) datasetCheck() *cobra.Command {
	cmd := a.onDataset("check", "Tell what has changed of the data since a dataset was registered", func(cmd *cobra.Command, d *dataset.Dataset) error {
		p := a.progress()
		p.set("listing files …")
		changes, err := d.Check(cmd.Context(), nil)
		p.clear()
		if err != nil {
			return err
		}
		err = a.show(changes, func(t *table) {
			if changes.None() {
				t.line(fmt.Sprintf("Nothing has changed: %s in %s.", size(changes.Bytes), count(int(changes.Files), "file")))
				return
			}
			t.line(fmt.Sprintf("%d added, %d removed, %d changed; now %s in %s.", changes.Added, changes.Removed, changes.Changed, size(changes.Bytes), count(int(changes.Files), "file")))
			for _, c := range changes.First {
				t.row("  "+c.Kind, c.Path)
			}
			if more := changes.Added + changes.Removed + changes.Changed - int64(len(changes.First)); more > 0 {
				t.line(fmt.Sprintf("  … and %d more", more))
			}
		})
		if err == nil && !changes.None() {
			return exitCode(exitError)
		}
		return err
	})
	cmd.Long = "Tell what has changed of the data since a dataset was registered: which files are new,\ngone or not what they were. The exit code is 1 when anything has."
	return cmd
}

func (a *app) datasetDownload() *cobra.Command {
	var dir string
	var overwrite bool
	cmd := a.onDataset("download", "Write the files of a dataset into a folder", func(cmd *cobra.Command, d *dataset.Dataset) error {
		if dir == "" {
			if dir = d.Name(); dir == "" {
				dir = d.ID()
			}
		}
		p := a.progress()
		total := int64(0)
		show := p.bytes("downloading")
		paths, err := d.Download(cmd.Context(), dir, &dataset.DownloadOptions{Overwrite: overwrite, Progress: show})
		p.clear()
		if err != nil {
			return overwriteHint(err)
		}
		files, err := d.Files(cmd.Context(), nil)
		for _, f := range files {
			total += f.Size
		}
		if err != nil {
			return err
		}
		return a.showDownloaded(downloaded{Dir: dir, Files: len(paths), Bytes: total})
	})
	cmd.Flags().StringVar(&dir, "dir", "", "folder to write into (default: one named after the dataset)")
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace files that are there")
	return cmd
}

func (a *app) datasetDelete() *cobra.Command {
	var every bool
	cmd := &cobra.Command{
		Use:   "delete NAME:VERSION|NAME --all",
		Short: "Unregister a version of a dataset, or all of them; the data stays",
		Long: `Unregister a version of a dataset, or all of them. Their numbers are never given
again. The data stays where it is.`,
		Example:           "  azml dataset delete titanic:1",
		Args:              exactly(1, "a dataset as NAME:VERSION, or NAME with --all"),
		ValidArgsFunction: a.completeDatasets(),
	}
	cmd.Flags().BoolVar(&every, "all", false, "all versions")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, version, err := dataset.ParseID(args[0])
		if err != nil {
			return err
		}
		if every != (version == dataset.Latest) {
			return usage("dataset %q: say which version to delete, as NAME:VERSION, or NAME with --all", args[0])
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			if err := ws.Datasets().Unregister(cmd.Context(), name, version, nil); err != nil {
				return err
			}
			a.say("Unregistered dataset %s.", args[0])
			return nil
		})
	}
	return cmd
}

// columnsFlag are names of columns with commas between them.
func columnsFlag(cmd *cobra.Command, help string) *[]string {
	return cmd.Flags().StringSlice("columns", nil, strings.TrimSpace(help)+", with commas between them (default: all)")
}

package main

import (
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/internal/atomicfile"
	"github.com/azml-go/azml/label"
	"github.com/azml-go/azml/workspace"
)

func (a *app) datasetLabel() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "label",
		Short: "Bring labels of a dataset's items in and out, as COCO's JSON or as CSV",
		Long: `Labels say what the items of a dataset are: its files, or its rows. They are a
dataset of their own, with versions, whose rows name the items by their IDs: the
path of a file in the dataset, or the value of a row in the column of --key.`,
		Example: `  azml dataset label import animals --of images:1 --coco instances.json
  azml dataset label list --of images:1
  azml dataset label export animals:2 --csv labels.csv`,
	}
	cmd.AddCommand(a.labelImport(), a.labelExport(), a.labelList())
	return cmd
}

func (a *app) labelImport() *cobra.Command {
	var of, coco, csv, target, folder string
	var opts label.RegisterOptions
	var columns label.CSVOptions
	cmd := &cobra.Command{
		Use:   "import NAME --of DATASET --coco FILE|--csv FILE",
		Short: "Register the labels of a file as a dataset, or as the next version of one",
		Long: `Register the labels of a file as a dataset, or with --new-version as the next
version of one. CSV has columns "item" and "label", and may have "x", "y", "width" and
"height" of boxes, "item_width", "item_height", "confidence", "labeler" and "time".`,
		Example: `  azml dataset label import animals --of images:1 --coco instances.json --folder train
  azml dataset label import moods --of texts --key id --csv moods.csv --new-version`,
		Args: exactly(1, "a name"),
	}
	f := cmd.Flags()
	f.StringVar(&of, "of", "", "the dataset whose items are labelled, as NAME, NAME:VERSION or an ID")
	f.StringVar(&coco, "coco", "", "JSON file in COCO's object detection form")
	f.StringVar(&csv, "csv", "", "CSV file")
	f.StringVar(&opts.Key, "key", "", "column of a table that has the IDs of its rows")
	f.StringVar(&folder, "folder", "", "put this before the names of COCO's files to make paths in the dataset")
	f.StringVar(&columns.Item, "item-column", "", "column of the CSV with the IDs (default \"item\")")
	f.StringVar(&columns.Class, "label-column", "", "column of the CSV with the labels (default \"label\")")
	f.StringVar(&target, "target", "", "folder of a datastore to store them in (default: the default datastore)")
	f.StringVar(&opts.Description, "description", "", "description of the labels")
	f.BoolVar(&opts.CreateNewVersion, "new-version", false, "make the next version when the name is taken")
	f.BoolVar(&opts.SkipValidation, "skip-validation", false, "take labels of items that are not there")
	tags := tagsFlag(cmd, "tag", "tag of the labels")
	must(cmd.MarkFlagRequired("of"))
	cmd.MarkFlagsMutuallyExclusive("coco", "csv")
	cmd.MarkFlagsOneRequired("coco", "csv")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		opts.Tags = tags.values
		if opts.Target, err = dataset.ParsePath(target); err != nil {
			return err
		}
		file, err := os.Open(coco + csv)
		if err != nil {
			return err
		}
		defer file.Close()
		labels := label.ReadCSV(file, &columns)
		if coco != "" {
			labels = label.ReadCOCO(file, &label.COCOOptions{Folder: folder})
		}
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			items, err := ws.Datasets().GetByID(cmd.Context(), of, nil)
			if err != nil {
				return err
			}
			d, err := label.Register(cmd.Context(), items, args[0], labels, &opts)
			if err != nil {
				return fmt.Errorf("%s: %w", file.Name(), err)
			}
			return a.show(d.Details(), func(t *table) { t.line(datasetID(d)) })
		})
	}
	return cmd
}

func (a *app) labelExport() *cobra.Command {
	var coco, csv string
	cmd := &cobra.Command{
		Use:   "export NAME[:VERSION] --coco FILE|--csv FILE",
		Short: "Write labels as COCO's JSON or as CSV",
		Long: `Write labels as COCO's JSON or as CSV, to a file or, as "-", to the standard
output. CSV has no place for segmentations. The file appears when it is complete.`,
		Example: `  azml dataset label export animals --coco instances.json
  azml dataset label export animals:2 --csv -`,
		Args:              exactly(1, datasetWord),
		ValidArgsFunction: a.completeDatasets(),
	}
	cmd.Flags().StringVar(&coco, "coco", "", "write JSON in COCO's object detection form to this file")
	cmd.Flags().StringVar(&csv, "csv", "", "write CSV to this file")
	cmd.MarkFlagsMutuallyExclusive("coco", "csv")
	cmd.MarkFlagsOneRequired("coco", "csv")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			d, err := ws.Datasets().GetByID(cmd.Context(), args[0], nil)
			if err != nil {
				return err
			}
			write := func(w io.Writer) error { return label.WriteCSV(w, label.All(cmd.Context(), d)) }
			if coco != "" {
				write = func(w io.Writer) error { return label.WriteCOCO(w, label.All(cmd.Context(), d)) }
			}
			if coco+csv == "-" {
				return write(a.stdout)
			}
			return atomicfile.Create(coco+csv, 0o644, func(f *os.File) error { return write(f) })
		})
	}
	return cmd
}

func (a *app) labelList() *cobra.Command {
	var of string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the labels that there are, all versions",
		Example: `  azml dataset label list
  azml dataset label list --of images:1 -o json`,
		Args: noArgs,
	}
	cmd.Flags().StringVar(&of, "of", "", "only labels of this dataset, as NAME (any version), NAME:VERSION or an ID")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.with(cmd.Context(), func(ws *workspace.Workspace) error {
			return a.showDatasets(labelsOf(ws.Datasets().List(cmd.Context(), nil), of))
		})
	}
	return cmd
}

// labelsOf picks the labels among datasets: those of the items of one, all when it
// is empty.
func labelsOf(list iter.Seq2[*dataset.Dataset, error], of string) iter.Seq2[*dataset.Dataset, error] {
	return func(yield func(*dataset.Dataset, error) bool) {
		for d, err := range list {
			if err == nil {
				l := d.Details().Labels
				if l == nil {
					continue
				}
				if name, _, err := dataset.ParseID(l.Of); of != "" && l.Of != of && (err != nil || name != of) {
					continue
				}
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

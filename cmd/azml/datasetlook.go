package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/internal/terminal"
)

func (a *app) datasetHead() *cobra.Command {
	var n int64
	var columns *[]string
	cmd := a.onDataset("head", "Show the first rows or files of a dataset", func(cmd *cobra.Command, d *dataset.Dataset) error {
		first, err := d.Take(n)
		if err != nil {
			return err
		}
		if d.Type() == dataset.TypeFile {
			files, err := first.Files(cmd.Context(), nil)
			if err != nil {
				return err
			}
			return showList(a, files, "No files.", func(t *table) {
				t.row("PATH", "SIZE", "MODIFIED")
				for _, f := range files {
					t.row(f.Path, size(f.Size), when(f.Modified))
				}
			})
		}
		return a.showRows(cmd, first, *columns)
	})
	cmd.Flags().Int64VarP(&n, "rows", "n", 10, "number of rows or files")
	columns = columnsFlag(cmd, "columns to show")
	return cmd
}

// showRows shows rows as a table, or as a list of objects.
func (a *app) showRows(cmd *cobra.Command, d *dataset.Dataset, columns []string) error {
	if len(columns) == 0 {
		columns = d.Columns().Names()
	}
	rows := []map[string]any{}
	for b, err := range d.Batches(cmd.Context(), &dataset.BatchesOptions{Columns: columns}) {
		if err != nil {
			return err
		}
		for row := range b.Rows {
			one := map[string]any{}
			for i := range b.Columns {
				one[columns[i]] = jsonValue(b.Columns[i].Value(row))
			}
			rows = append(rows, one)
		}
	}
	return showList(a, rows, "No rows.", func(t *table) {
		cells := make([]any, len(columns))
		for i, name := range columns {
			cells[i] = name
		}
		t.row(cells...)
		for _, one := range rows {
			for i, name := range columns {
				cells[i] = cellText(one[name])
			}
			t.row(cells...)
		}
	})
}

// jsonValue makes of numbers that JSON has no word for texts.
func jsonValue(v any) any {
	if f, isFloat := v.(float64); isFloat && (f != f || f-f != 0) { //nolint:gocritic // NaN and infinity
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return v
}

// cellText gives a value for people, in at most 40 characters.
func cellText(v any) string {
	const most = 40
	text := ""
	switch v := v.(type) {
	case nil:
		return ""
	case time.Time:
		text = v.Format(time.RFC3339Nano)
	case float64:
		text = strconv.FormatFloat(v, 'g', -1, 64)
	default:
		text = fmt.Sprint(v)
	}
	return terminal.Style{Unicode: true}.Fit(text, most)
}

func (a *app) datasetProfile() *cobra.Command {
	var columns *[]string
	var nullOnError bool
	cmd := a.onDataset("profile", "Describe the columns of a dataset: types, missing values, quantiles, shapes", func(cmd *cobra.Command, d *dataset.Dataset) error {
		p := a.progress()
		p.set("reading rows …")
		found, err := d.Profile(cmd.Context(), &dataset.ProfileOptions{Columns: *columns, NullOnError: nullOnError})
		p.clear()
		if err != nil {
			return err
		}
		return a.show(found, func(t *table) { a.drawProfile(t, found) })
	})
	columns = columnsFlag(cmd, "columns to describe")
	cmd.Flags().BoolVar(&nullOnError, "null-on-error", false, "values that don't fit their column count as missing")
	return cmd
}

func (a *app) drawProfile(t *table, p *dataset.Profile) {
	t.line(count(int(p.Rows), "row"))
	t.row("COLUMN", "TYPE", "MISSING", "MIN", "MEDIAN", "MAX", "MEAN", "SHAPE OR VALUES")
	for _, c := range p.Columns {
		median, mean, shape := "", "", frequent(c.Values)
		if n := c.Numbers; n != nil {
			shape = a.histogram(n.Histogram)
			if c.Type != "datetime" {
				median, mean = terminal.Number(n.Quantiles[len(n.Quantiles)/2].Value), terminal.Number(n.Mean)
			}
		}
		t.row(c.Name, c.Type, share(c.Missing, p.Rows), cellText(c.Min), median, cellText(c.Max), mean, shape)
	}
}

// share gives a number with its part of a whole, empty when it is zero.
func share(n, of int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d (%.1f%%)", n, 100*float64(n)/float64(of))
}

// frequent gives the most frequent values.
func frequent(values []dataset.ValueCount) string {
	const most = 3
	text := ""
	for i, v := range values[:min(most, len(values))] {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s ×%d", cellText(v.Value), v.Count)
	}
	if len(values) > most {
		text += fmt.Sprintf(", %d more", len(values)-most)
	}
	return text
}

// histogram draws the bins in a line.
func (a *app) histogram(bins []dataset.Bin) string {
	s := terminal.NewSeries(2 * len(bins))
	for i, bin := range bins {
		s.Add(float64(i), float64(bin.Count))
	}
	return a.style().Sparkline(s, len(bins))
}

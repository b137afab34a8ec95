package run

import (
	"context"
	"io"

	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
)

// Format is a form in which metrics are exported.
type Format string

// The formats of Run.ExportMetrics.
const (
	// FormatParquet is Apache Parquet, as metrics are sealed.
	FormatParquet = Format(metrics.FormatParquet)
	// FormatCSV is CSV with a header line.
	FormatCSV = Format(metrics.FormatCSV)
	// FormatJSONL is one JSON object a line.
	FormatJSONL = Format(metrics.FormatJSONL)
)

// Formats lists all formats. The slice is the caller's.
func Formats() []Format { return []Format{FormatParquet, FormatCSV, FormatJSONL} }

// ExportOptions are the options of Run.ExportMetrics.
type ExportOptions struct {
	// Format is the form, FormatParquet by default.
	Format Format
	// Names are the metrics wanted; empty means all.
	Names []string
}

// ExportMetrics writes the run's logged values to w, each once. All formats
// have the columns name, kind, type, step, time, value (the number), text (what
// is no number), writer and seq (the place among that writer's values). Parquet
// has them sorted by name within row groups of half a million, and two columns
// more, which docs/format.md explains; CSV and JSON Lines have them in the order
// of Metrics. Time is RFC 3339 in UTC there, a number has all its digits, and
// NaN and infinite numbers are the texts "NaN", "Infinity" and "-Infinity". It
// streams, and takes memory for one row group. Errors: ErrInvalid for an unknown
// format; ErrNotFound when the run was deleted; ErrDamaged; w's.
func (r *Run) ExportMetrics(ctx context.Context, w io.Writer, opts *ExportOptions) (err error) {
	defer r.h.Operation(&ctx, &err, "export metrics of", kind, r.id)()
	if opts == nil {
		opts = &ExportOptions{}
	}
	format := opts.Format
	if format == "" {
		format = FormatParquet
	}
	if err := r.there(ctx); err != nil {
		return err
	}
	log, err := history.Metrics(r.h, r.record())
	if err != nil {
		return err
	}
	return log.Export(ctx, w, metrics.Format(format), opts.Names)
}

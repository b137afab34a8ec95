package metrics

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/azml-go/azml"
)

// Format is a form in which points are exported.
type Format string

// The formats.
const (
	// FormatParquet is Parquet with the columns of sealed metrics.
	FormatParquet Format = "parquet"
	// FormatCSV is CSV by RFC 4180 with a header line.
	FormatCSV Format = "csv"
	// FormatJSONL is one JSON object a line.
	FormatJSONL Format = "jsonl"
)

// Formats lists all formats. The slice is the caller's own.
func Formats() []Format { return []Format{FormatParquet, FormatCSV, FormatJSONL} }

// Export writes the points of the named metrics, or of all, to w. Parquet has
// them by name within row groups of half a million, the other formats in the
// order of Read. Both have the columns name, kind, type, step, time (RFC 3339,
// UTC), value, text, writer and seq. Value is the number with all its digits,
// "NaN", "Infinity" or "-Infinity" (in JSON as a string), else empty or null;
// text is what is no number: strings and paths as they are, "true" and "false",
// lists and tables as JSON. It streams, in the memory of a row group. Errors:
// ErrInvalid for an unknown format, w's, and those of Read.
func (l *Log) Export(ctx context.Context, w io.Writer, format Format, names []string) error {
	switch format {
	case FormatParquet:
		return l.exportParquet(ctx, w, names)
	case FormatCSV:
		return l.exportCSV(ctx, w, names)
	case FormatJSONL:
		return l.exportJSONL(ctx, w, names)
	}
	return fmt.Errorf("%w: unknown format %q of metrics: use one of %v", azml.ErrInvalid, format, Formats())
}

// wanted yields the points to export.
func (l *Log) wanted(ctx context.Context, names []string, take func(h head) error) error {
	for h, err := range l.entries(ctx, &ReadOptions{Names: names}) {
		if err == nil && (len(names) == 0 || slices.Contains(names, h.series.name)) {
			err = take(h)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) exportParquet(ctx context.Context, w io.Writer, names []string) error {
	out, t := newTableWriter(w), newTable()
	err := l.wanted(ctx, names, func(h head) error {
		t.add(h.entry, h.writer, h.cursor.latest)
		if t.full(&l.limits) {
			return out.write(t)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(out.write(t), out.close())
}

func (l *Log) exportCSV(ctx context.Context, w io.Writer, names []string) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"name", "kind", "type", "step", "time", "value", "text", "writer", "seq"}); err != nil {
		return err
	}
	err := l.wanted(ctx, names, func(h head) error {
		r := exported(h)
		return out.Write([]string{r.Name, r.Kind, r.Type, strconv.FormatInt(r.Step, 10), r.Time, r.value, r.text, r.Writer,
			strconv.FormatUint(r.Seq, 10)})
	})
	out.Flush()
	return errors.Join(err, out.Error())
}

func (l *Log) exportJSONL(ctx context.Context, w io.Writer, names []string) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return l.wanted(ctx, names, func(h head) error {
		r := exported(h)
		switch f, isNumber := number(h.series.typ, h.bits); {
		case isNumber && (math.IsNaN(f) || math.IsInf(f, 0)):
			r.Value = r.value
		case isNumber:
			r.Value = json.Number(r.value)
		case r.hasText:
			r.Text = &r.text
		}
		return out.Encode(r)
	})
}

// exportedRow is a point in a text format.
type exportedRow struct {
	Name   string  `json:"name"`
	Kind   string  `json:"kind"`
	Type   string  `json:"type"`
	Step   int64   `json:"step"`
	Time   string  `json:"time"`
	Value  any     `json:"value"`
	Text   *string `json:"text"`
	Writer string  `json:"writer"`
	Seq    uint64  `json:"seq"`

	value, text string
	hasText     bool
}

func exported(h head) exportedRow {
	r := exportedRow{Name: h.series.name, Kind: string(h.series.kind.kind()), Type: typeNames[h.series.typ], Step: h.step,
		Time: time.Unix(0, h.time).UTC().Format(time.RFC3339Nano), Writer: h.writer, Seq: h.seq}
	f, _ := number(h.series.typ, h.bits)
	switch h.series.typ {
	case typeFloat:
		r.value = textFloat(f)
	case typeInt:
		r.value = strconv.FormatInt(int64(h.bits), 10)
	default:
		r.text, r.hasText = text(raw{typ: h.series.typ, bits: h.bits, blob: h.blob})
	}
	return r
}

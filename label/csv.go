package label

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/azml-go/azml"
)

// The columns of delimited text, beside those of item and class.
const (
	columnItem, columnClass           = "item", "label"
	columnX, columnY                  = "x", "y"
	columnWidth, columnHeight         = "width", "height"
	columnConfidence                  = "confidence"
	columnLabeler, columnTime         = "labeler", "time"
	columnItemWidth, columnItemHeight = "item_width", "item_height"
)

var csvColumns = []string{columnItem, columnClass, columnX, columnY, columnWidth, columnHeight, columnItemWidth, columnItemHeight, columnConfidence, columnLabeler, columnTime}

// CSVOptions are the options of ReadCSV.
type CSVOptions struct {
	// Item is the name of the column of the items' IDs, "item" by default.
	Item string
	// Class is that of the classes, "label" by default.
	Class string
}

// ReadCSV yields the labels of comma separated text in UTF-8, whose first line names
// the columns: "item" and "label" have to be there, "x", "y", "width" and "height" of
// boxes, "item_width", "item_height", "confidence", "labeler" and "time" (RFC 3339)
// may be, others are passed over. Errors: ErrInvalid naming the line.
func ReadCSV(r io.Reader, opts *CSVOptions) iter.Seq2[Label, error] {
	return func(yield func(Label, error) bool) {
		if err := readCSV(r, opts, yield); err != nil {
			yield(Label{}, err)
		}
	}
}

func readCSV(r io.Reader, opts *CSVOptions, yield func(Label, error) bool) error {
	in := bufio.NewReader(r)
	if mark, _ := in.Peek(3); bytes.Equal(mark, []byte("\ufeff")) {
		_, _ = in.Discard(len(mark))
	}
	lines := csv.NewReader(in)
	lines.ReuseRecord = true
	names, err := lines.Read()
	if err != nil {
		return fmt.Errorf("%w: there are no names of columns: %w", azml.ErrInvalid, err)
	}
	row, err := newCSVRow(names, opts)
	if err != nil {
		return err
	}
	for {
		row.fields, err = lines.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", azml.ErrInvalid, err)
		}
		l, err := row.label()
		if err != nil {
			line, _ := lines.FieldPos(0)
			return fmt.Errorf("%w: line %d: %w", azml.ErrInvalid, line, err)
		}
		if !yield(l, nil) {
			return nil
		}
	}
}

// csvRow reads fields by the names of their columns.
type csvRow struct {
	places map[string]int
	fields []string
	err    error // the first of a row
}

func newCSVRow(names []string, opts *CSVOptions) (*csvRow, error) {
	row := &csvRow{places: map[string]int{}}
	for i, name := range names {
		row.places[name] = i
	}
	if opts == nil {
		opts = &CSVOptions{}
	}
	for own, given := range map[string]string{columnItem: opts.Item, columnClass: opts.Class} {
		if given == "" {
			given = own
		}
		at, ok := row.places[given]
		if !ok {
			return nil, fmt.Errorf("%w: there is no column %q, but %q", azml.ErrInvalid, given, names)
		}
		row.places[own] = at
	}
	return row, nil
}

func (r *csvRow) text(name string) string {
	if at, ok := r.places[name]; ok {
		return r.fields[at]
	}
	return ""
}

// number reads a field, 0 when it is empty.
func (r *csvRow) number(name string) float64 {
	text := r.text(name)
	if text == "" {
		return 0
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("column %q: %.40q is no number", name, text)
	}
	return x
}

func (r *csvRow) pixels(name string) int32 {
	x := r.number(name)
	if x != float64(int32(x)) && r.err == nil {
		r.err = fmt.Errorf("column %q: %v is no number of pixels", name, x)
	}
	return int32(x)
}

func (r *csvRow) label() (Label, error) {
	r.err = nil
	l := Label{Item: r.text(columnItem), Class: r.text(columnClass), Confidence: r.number(columnConfidence), Labeler: r.text(columnLabeler),
		ItemWidth: r.pixels(columnItemWidth), ItemHeight: r.pixels(columnItemHeight)}
	box, given := Box{r.number(columnX), r.number(columnY), r.number(columnWidth), r.number(columnHeight)}, 0
	for _, name := range []string{columnX, columnY, columnWidth, columnHeight} {
		if r.text(name) != "" {
			given++
		}
	}
	switch given {
	case 0:
	case 4:
		l.Box = &box
	default:
		return l, errors.Join(r.err, errors.New("a box has all of x, y, width and height"))
	}
	if text := r.text(columnTime); text != "" {
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return l, fmt.Errorf("column %q: %.40q is no time in RFC 3339", columnTime, text)
		}
		l.Time = t.UTC()
	}
	return l, r.err
}

// WriteCSV writes labels as comma separated text that ReadCSV reads. Segmentations
// and areas are left out. Errors: those of labels and w.
func WriteCSV(w io.Writer, labels iter.Seq2[Label, error]) error {
	out := csv.NewWriter(w)
	if err := out.Write(csvColumns); err != nil {
		return err
	}
	for l, err := range labels {
		if err != nil {
			return err
		}
		box := make([]string, 4)
		if b := l.Box; b != nil {
			box = []string{number(b.X), number(b.Y), number(b.Width), number(b.Height)}
		}
		at := ""
		if !l.Time.IsZero() {
			at = l.Time.Format(time.RFC3339Nano)
		}
		fields := append([]string{l.Item, l.Class}, box...)
		fields = append(fields, told(float64(l.ItemWidth)), told(float64(l.ItemHeight)), told(l.Confidence), l.Labeler, at)
		if err := out.Write(fields); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// told gives a number, and nothing for 0.
func told(x float64) string {
	if x == 0 {
		return ""
	}
	return number(x)
}

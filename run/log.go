package run

import (
	"context"
	"fmt"
	"maps"
	"time"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// LogOptions are the options of logging a value.
type LogOptions struct {
	// Step is the step or epoch that the value belongs to.
	Step int64
	// Time is when the value was observed; now when zero.
	Time time.Time
}

// Log logs a number, string, bool or nil under a name; logging to the name
// again makes a series. It takes well below a microsecond for a float64, and
// when it returns the point survives the death of the process. There is no
// limit on names, points or rate; NaN and ±Inf are values. Errors: ErrInvalid
// for another type of value, or a name that was used for another kind (a list,
// a table …); ErrClosed when the run has ended; ErrUnavailable when the disk is
// full.
func (r *Run) Log(name string, value any, opts *LogOptions) error {
	var o LogOptions
	if opts != nil {
		o = *opts
	}
	if f, ok := value.(float64); ok {
		w, err := r.writer()
		if err == nil {
			err = w.Log(name, f, o.Step, o.Time)
		}
		if err != nil {
			return r.logError(name, err)
		}
		return nil
	}
	scalar, err := metrics.Scalar(value)
	if err != nil {
		return r.logError(name, fmt.Errorf("%w (log lists with LogList, rows with LogRow)", err))
	}
	return r.append(metrics.Point{Name: name, Kind: metrics.KindScalar, Value: scalar}, o)
}

// LogList logs a list of numbers, strings or bools as one value: a []float64,
// []float32, []int, []int64, []string, []bool or []any. Where it has both
// integers and floats, its numbers are kept as float64. An empty list logs
// nothing. Errors: as Log.
func (r *Run) LogList(name string, values any, opts *LogOptions) error {
	return r.appendValue(name, metrics.KindList, opts, func() (any, error) {
		return metrics.List(metrics.Elements(values))
	})
}

// LogRow appends a row to the table of that name; the columns are the keys.
// Errors: as Log.
func (r *Run) LogRow(name string, row map[string]any, opts *LogOptions) error {
	return r.appendValue(name, metrics.KindTable, opts, func() (any, error) {
		for column, value := range row {
			if _, err := metrics.Scalar(value); err != nil {
				return nil, fmt.Errorf("column %q: %w (log many rows with LogTable)", column, err)
			}
		}
		return metrics.Columns(row)
	})
}

// LogTable appends rows to the table of that name, given as columns of equal
// length, of the types that LogList takes; a scalar is a column of length 1.
// An empty map logs nothing. Errors: as Log.
func (r *Run) LogTable(name string, columns map[string]any, opts *LogOptions) error {
	return r.appendValue(name, metrics.KindTable, opts, func() (any, error) { return metrics.Columns(columns) })
}

func (r *Run) appendValue(name string, k metrics.Kind, opts *LogOptions, value func() (any, error)) error {
	if opts == nil {
		opts = &LogOptions{}
	}
	v, err := value()
	if err != nil {
		return r.logError(name, err)
	}
	return r.append(metrics.Point{Name: name, Kind: k, Value: v}, *opts)
}

func (r *Run) append(p metrics.Point, o LogOptions) error {
	p.Step, p.Time = o.Step, o.Time
	w, err := r.writer()
	if err == nil {
		err = w.Append(p)
	}
	return r.logError(p.Name, err)
}

func (r *Run) logError(name string, err error) error {
	core.Wrap(&err, "log metric of", kind, r.id+"/"+name)
	return err
}

// LogParam sets a parameter of the run, such as a learning rate, as text (a
// value that is no string is formatted by fmt.Sprint). A parameter is set once:
// setting it again to the same value does nothing, to another is ErrConflict.
// It is one write of the record; use LogParams for many.
func (r *Run) LogParam(ctx context.Context, name string, value any) error {
	return r.LogParams(ctx, map[string]any{name: value})
}

// LogParams sets parameters of the run, all or none, in one write. There is no
// limit on their number. Errors: as LogParam, ErrInvalid for a name that is
// empty or longer than 250 characters, ErrClosed when the run has ended.
func (r *Run) LogParams(ctx context.Context, params map[string]any) (err error) {
	defer r.h.Operation(&ctx, &err, "log parameters of", kind, r.id)()
	texts := map[string]string{}
	for name, value := range params {
		if name == "" || utf8.RuneCountInString(name) > 250 || !utf8.ValidString(name) {
			return fmt.Errorf("%w: parameter name %q: use 1 to 250 characters of UTF-8", azml.ErrInvalid, name)
		}
		text := fmt.Sprint(value)
		if !utf8.ValidString(text) {
			return fmt.Errorf("%w: parameter %q: its value is not UTF-8", azml.ErrInvalid, name)
		}
		texts[name] = text
	}
	return r.update(ctx, core.Quiet, func(rec *record.Run) error {
		if rec.Status.Terminal() {
			return fmt.Errorf("%w: the run is %s and takes no more", azml.ErrClosed, rec.Status)
		}
		merged, err := core.AddLabels(rec.Params, texts)
		if err != nil {
			return fmt.Errorf("parameter %w", err)
		}
		if maps.Equal(merged, rec.Params) {
			return core.ErrNoChange
		}
		rec.Params = merged
		return nil
	})
}

// update changes the record and keeps the result.
func (r *Run) update(ctx context.Context, note core.Note, change func(*record.Run) error) error {
	life := r.record().Life
	stored, err := history.Update(ctx, r.h, r.id, note, func(rec *record.Run) error {
		if err := history.SameLife(*rec, life); err != nil {
			return err
		}
		return change(rec)
	})
	if err == nil {
		r.keep(stored)
	}
	return err
}

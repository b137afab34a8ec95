package run

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
)

// MetricKind is the kind of a logged value.
type MetricKind string

// The kinds of logged values.
const (
	// MetricScalar is a number, string, bool or nil.
	MetricScalar = MetricKind(metrics.KindScalar)
	// MetricList is a list of scalars.
	MetricList = MetricKind(metrics.KindList)
	// MetricTable is one or more rows of a table.
	MetricTable = MetricKind(metrics.KindTable)
	// MetricImage is an image file of the run.
	MetricImage = MetricKind(metrics.KindImage)
	// MetricConfusionMatrix is a confusion matrix in a JSON file of the run.
	MetricConfusionMatrix = MetricKind(metrics.KindConfusionMatrix)
	// MetricAccuracyTable is an accuracy table in a JSON file of the run.
	MetricAccuracyTable = MetricKind(metrics.KindAccuracyTable)
	// MetricResiduals is a histogram of residuals in a JSON file of the run.
	MetricResiduals = MetricKind(metrics.KindResiduals)
	// MetricPredictions compares predictions in a JSON file of the run.
	MetricPredictions = MetricKind(metrics.KindPredictions)
)

// Metric is one logged value.
type Metric struct {
	// Name is the metric's name.
	Name string `json:"name"`
	// Kind is the kind of value.
	Kind MetricKind `json:"kind"`
	// Step is the step it was logged with, 0 when none was given.
	Step int64 `json:"step"`
	// Time is when it was observed.
	Time time.Time `json:"time"`
	// Value is, by kind: for a scalar float64, int64, string, bool or nil; for
	// a list []any of those; for a table []Column; for all others the path of
	// the run's file that holds it, as a string.
	Value any `json:"value"`
	// Writer is the ID of what logged it: one process's use of the run.
	Writer string `json:"-"`
	// Seq counts the writer's values from 1 without gaps. So Writer and Seq name
	// the value, and who keeps the last Seq of each writer knows what is new.
	Seq uint64 `json:"-"`
}

// Column is one column of logged rows.
type Column struct {
	// Name is the column's name.
	Name string `json:"name"`
	// Values are the column's values, one per row.
	Values []any `json:"values"`
}

// Number gives the value of a scalar as a number; ok is false for other values.
func (m Metric) Number() (value float64, ok bool) {
	switch v := m.Value.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	}
	return 0, false
}

// MetricsOptions are the options of Run.Metrics.
type MetricsOptions struct {
	// Names are the metrics wanted; empty means all.
	Names []string
	// Follow goes on with values as they are logged, until the run has ended
	// or is deleted, which is ErrNotFound.
	Follow bool
}

// Metrics yields the run's logged values, each once, by time; those of one
// process in the order it logged them. It sees what is durable in the
// workspace and what processes on this machine have logged up to now. Errors:
// ErrNotFound when the run was deleted; ErrDamaged, naming the place.
func (r *Run) Metrics(ctx context.Context, opts *MetricsOptions) iter.Seq2[Metric, error] {
	if opts == nil {
		opts = &MetricsOptions{}
	}
	return func(yield func(Metric, error) bool) {
		log, err := history.Metrics(r.h, r.record())
		if err != nil {
			core.Wrap(&err, "read metrics of", kind, r.id)
			yield(Metric{}, err)
			return
		}
		read := &metrics.ReadOptions{Names: opts.Names, Follow: opts.Follow, Done: func() (bool, error) { return r.ended(ctx) }}
		for point, err := range log.Read(ctx, read) {
			core.Wrap(&err, "read metrics of", kind, r.id)
			if !yield(metric(point), err) || err != nil {
				return
			}
		}
		if err := r.there(ctx); err != nil {
			core.Wrap(&err, "read metrics of", kind, r.id)
			yield(Metric{}, err)
		}
	}
}

// there gives ErrNotFound when the run was deleted. Who has read its metrics asks
// afterwards: then they are not none but unknown, and some may be there for a
// moment, of a sealing that does not know yet.
func (r *Run) there(ctx context.Context) error {
	_, err := r.read(ctx)
	return err
}

// ended tells whether the run has ended; when the store does not answer, the
// next look will.
func (r *Run) ended(ctx context.Context) (bool, error) {
	switch err := r.Refresh(ctx); {
	case errors.Is(err, azml.ErrUnavailable):
		return false, nil
	case err != nil:
		return false, err
	}
	return r.Status().Terminal(), nil
}

func metric(p metrics.Point) Metric {
	m := Metric{Name: p.Name, Kind: MetricKind(p.Kind), Step: p.Step, Time: p.Time, Value: p.Value, Writer: p.Writer, Seq: p.Seq}
	if columns, ok := p.Value.([]metrics.Column); ok {
		out := make([]Column, len(columns))
		for i, c := range columns {
			out[i] = Column{c.Name, c.Values}
		}
		m.Value = out
	}
	return m
}

// Summary sums up one metric of a run.
type Summary struct {
	// Name is the metric's name.
	Name string `json:"name"`
	// Kind is the kind of its values.
	Kind MetricKind `json:"kind"`
	// Count is the number of logged values.
	Count int64 `json:"count"`
	// First is the first logged value.
	First Metric `json:"first"`
	// Last is the last logged value.
	Last Metric `json:"last"`
	// Min is the least number, NaN left out; 0 when Numbers is.
	Min float64 `json:"min"`
	// Max is the greatest number, NaN left out; 0 when Numbers is.
	Max float64 `json:"max"`
	// Mean is the mean of the numbers, NaN left out; 0 when Numbers is.
	Mean float64 `json:"mean"`
	// Numbers is how many values are numbers other than NaN.
	Numbers int64 `json:"numbers"`
	// NaNs is how many values are NaN.
	NaNs int64 `json:"nans"`
}

// Summaries gives a summary of each of the run's metrics, by name. Of a run that
// has ended it reads one small object, once its metrics are sealed; else all
// values. Errors: as Metrics.
func (r *Run) Summaries(ctx context.Context) (_ map[string]Summary, err error) {
	defer r.h.Operation(&ctx, &err, "read metrics of", kind, r.id)()
	log, err := history.Metrics(r.h, r.record())
	if err != nil {
		return nil, err
	}
	sums, err := log.Summary(ctx)
	if err == nil {
		err = r.there(ctx)
	}
	if err != nil {
		return nil, err
	}
	out := make(map[string]Summary, len(sums))
	for name, s := range sums {
		out[name] = Summary{Name: name, Kind: MetricKind(s.Kind), Count: s.Count, First: metric(s.First), Last: metric(s.Last),
			Min: s.Min, Max: s.Max, Mean: mean(s.Sum, s.Numbers), Numbers: s.Numbers, NaNs: s.NaNs}
	}
	return out, nil
}

func mean(sum float64, numbers int64) float64 {
	if numbers == 0 {
		return 0
	}
	return sum / float64(numbers)
}

package mlflow

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"math"
	"time"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
)

// metrics carries over all values of all metrics of a run. Those that are there
// from an import before are not written again, wherever that was cut off. It
// gives how many values its writer has stored.
func (i *importer) metrics(ctx context.Context, c *claim) (map[string]uint64, error) {
	if len(c.run.metrics) == 0 {
		return nil, nil
	}
	log, err := history.Metrics(i.h, c.stored)
	if err != nil {
		return nil, err
	}
	l := &logger{importer: i, log: log, of: c.run.id}
	if !c.fresh {
		if err := l.survey(ctx); err != nil {
			return nil, err
		}
	}
	for _, name := range sortedKeys(c.run.metrics) {
		if name == "" || !utf8.ValidString(name) {
			i.leave("metrics whose names can't be stored", 1, c.run.id, name)
			continue
		}
		if err := l.copy(ctx, name, latestLast(i.src.points(ctx, c.run, name))); err != nil {
			return nil, errors.Join(err, l.close(context.WithoutCancel(ctx)))
		}
	}
	c.added = c.added || l.wrote
	if err := l.close(ctx); err != nil || l.writer == nil {
		return nil, err
	}
	return map[string]uint64{l.writer.ID(): l.writer.Stored()}, nil
}

// logger writes the values of a run or of a logged model.
type logger struct {
	*importer
	log *metrics.Log
	of  string // the ID of the run or logged model

	have   map[string]sum // what is there, by name
	writer *metrics.Writer
	wrote  bool // a value, which the writer may refuse
	waits  int  // values that are not durable yet
}

// sum sums up a set of values: sums of equal sets are equal, whatever their
// order, and those of others practically never.
type sum struct {
	count int64
	hash  uint64
}

var seed = maphash.MakeSeed()

func (s *sum) add(p point) {
	s.count++
	s.hash += maphash.Comparable(seed, p.key())
}

// pointKey is a point for comparisons: all NaN are one value.
type pointKey struct {
	step, millis int64
	bits         uint64
}

func (p point) key() pointKey {
	if math.IsNaN(p.value) {
		p.value = nan
	}
	return pointKey{p.step, p.millis, math.Float64bits(p.value)}
}

// survey sums up what is there, after what a killed import has left on this
// machine was stored.
func (l *logger) survey(ctx context.Context) error {
	if _, err := l.log.Recover(ctx); err != nil {
		return err
	}
	l.have = map[string]sum{}
	return l.there(ctx, nil, func(name string, p point) {
		s := l.have[name]
		s.add(p)
		l.have[name] = s
	})
}

// there calls each with the numbers that are there, of the named metrics or of
// all.
func (l *logger) there(ctx context.Context, names []string, each func(name string, p point)) error {
	for p, err := range l.log.Read(ctx, &metrics.ReadOptions{Names: names, Kinds: []metrics.Kind{metrics.KindScalar}}) {
		if err != nil {
			return err
		}
		switch v := p.Value.(type) {
		case float64:
			each(p.Name, point{p.Step, p.Time.UnixMilli(), v})
		case int64:
			each(p.Name, point{p.Step, p.Time.UnixMilli(), float64(v)})
		}
	}
	return nil
}

// latestLast puts the value last that MLflow takes for the latest, by step, then
// time, then value: here it is the one that was logged last. Others keep their
// order, but for those that were the latest for a while.
func latestLast(points iter.Seq2[point, error]) iter.Seq2[point, error] {
	return func(yield func(point, error) bool) {
		var latest point
		some := false
		for p, err := range points {
			switch {
			case err != nil:
				yield(p, err)
				return
			case !some:
				latest, some = p, true
				continue
			case p.compare(latest) >= 0:
				p, latest = latest, p
			}
			if !yield(p, nil) {
				return
			}
		}
		if some {
			yield(latest, nil)
		}
	}
}

// compare is MLflow's order of the values of a metric.
func (p point) compare(other point) int {
	return cmp.Or(cmp.Compare(p.step, other.step), cmp.Compare(p.millis, other.millis), cmp.Compare(p.value, other.value))
}

// copy writes the values of a metric that are not there. Mostly that is none,
// all, or all behind the first so many; only if those are others than the ones
// that are there, each has to be looked for.
func (l *logger) copy(ctx context.Context, name string, points iter.Seq2[point, error]) error {
	have, seen := l.have[name], sum{}
	for p, err := range points {
		if err != nil {
			return err
		}
		if seen.count == have.count {
			if err := l.write(ctx, name, p); err != nil {
				return err
			}
			continue
		}
		if seen.add(p); seen.count == have.count && seen != have {
			return l.search(ctx, name, points)
		}
	}
	if seen.count < have.count {
		return l.search(ctx, name, points)
	}
	return nil
}

// search looks for each value of a metric among those that are there.
func (l *logger) search(ctx context.Context, name string, points iter.Seq2[point, error]) error {
	have := map[pointKey]int{}
	if err := l.there(ctx, []string{name}, func(_ string, p point) { have[p.key()]++ }); err != nil {
		return err
	}
	for p, err := range points {
		if err != nil {
			return err
		}
		if key := p.key(); have[key] > 0 {
			have[key]--
			continue
		}
		if err := l.write(ctx, name, p); err != nil {
			return err
		}
	}
	return nil
}

func (l *logger) write(ctx context.Context, name string, p point) (err error) {
	if l.writer == nil {
		if l.writer, err = l.log.NewWriter(); err != nil {
			return err
		}
	}
	err = l.writer.Log(name, p.value, p.step, time.UnixMilli(p.millis))
	if errors.Is(err, azml.ErrInvalid) {
		l.leave("values at times that can't be stored", 1, l.of, name)
		return nil
	}
	if err != nil {
		return err
	}
	const often = 1 << 15
	l.wrote = true
	if l.waits++; l.waits == often {
		return l.flush(ctx)
	}
	return nil
}

// flush makes durable what was written.
func (l *logger) flush(ctx context.Context) error {
	if err := l.writer.Flush(ctx); err != nil {
		return err
	}
	n := int64(l.waits)
	l.waits = 0
	l.report(func(d *Carried) { d.Values += n })
	return nil
}

func (l *logger) close(ctx context.Context) error {
	if l.writer == nil {
		return nil
	}
	if err := l.writer.Close(ctx); err != nil {
		return err
	}
	n := int64(l.waits)
	l.report(func(d *Carried) { d.Values += n })
	return nil
}

// modelMetrics carries over what is known of the metrics that are about a logged
// model: their latest values.
func (i *importer) modelMetrics(ctx context.Context, m loggedModel) (added bool, err error) {
	if len(m.metrics) == 0 {
		return false, nil
	}
	log, err := history.ModelMetrics(i.h, m.id)
	if err != nil {
		return false, err
	}
	l := &logger{importer: i, log: log, of: m.id}
	if err := l.survey(ctx); err != nil {
		return false, err
	}
	for _, p := range m.metrics {
		series := history.ModelSeries{Metric: p.name, RunID: p.runID, Dataset: p.dataset, Digest: p.digest}
		one := func(yield func(point, error) bool) { yield(p.point, nil) }
		if err := l.copy(ctx, series.Name(), one); err != nil {
			return false, errors.Join(err, l.close(context.WithoutCancel(ctx)))
		}
	}
	return l.wrote, l.close(ctx)
}

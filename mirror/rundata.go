package mirror

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// objects are the objects of a run on both sides, but those of its files.
type objects struct {
	datasets []backend.Info // of the source
	logs     []backend.Info // of the source
	metrics  int64          // the size of those of the source, and of the destination
	have     int64
	mine     map[string]backend.Info // datasets and logs of the destination

	theirParts, myParts int // of the lists of files
}

// bringData brings what belongs to a run beside its record.
func (s *syncer) bringData(ctx context.Context, r *carried) error {
	o := r.objects
	for _, info := range o.datasets {
		if err := s.bringDataset(ctx, info.Key, o.mine); err != nil {
			return err
		}
	}
	appended, err := s.bringLogs(ctx, r.id, o.logs, o.mine)
	if errors.Is(err, errHeld) {
		r.held = true
	} else if err != nil {
		return err
	}
	if err := s.addParts(ctx, r.parts); err != nil {
		return err
	}
	stored, points, err := s.bringMetrics(ctx, r, o)
	if err != nil {
		return err
	}
	r.more = points > 0 || appended > 0 || len(r.parts.add) > 0
	return s.complete(ctx, r, stored)
}

// leftoverAge is the age from which on what a sync that was cut off has left is not
// relied upon: the destination's collector may be about to delete it.
const leftoverAge = 12 * time.Hour

// runObjects lists the run's objects on both sides. What was left of it long ago
// goes first.
func (s *syncer) runObjects(ctx context.Context, r *carried) (*objects, error) {
	o := &objects{mine: map[string]backend.Info{}}
	for info, err := range runList(ctx, s.src, r.from.Value) {
		if err != nil {
			return nil, err
		}
		switch sortOf(info.Key) {
		case "datasets":
			o.datasets = append(o.datasets, info)
		case "logs":
			o.logs = append(o.logs, info)
		case "metrics":
			o.metrics += info.Size
		case "files":
			o.theirParts++
		}
	}
	old := false
	for info, err := range runList(ctx, s.dst, r.from.Value) {
		if err != nil {
			return nil, err
		}
		old = old || r.there == nil && s.dst.Now().Sub(info.Modified) > leftoverAge
		switch sortOf(info.Key) {
		case "metrics":
			o.have += info.Size
		case "files":
			o.myParts++
		default:
			o.mine[info.Key] = info
		}
	}
	if old && !s.opts.DryRun {
		o.mine, o.have, o.myParts = map[string]backend.Info{}, 0, 0
		return o, s.discardRun(ctx, r)
	}
	return o, nil
}

// runList lists the run's objects but its record.
func runList(ctx context.Context, h core.Handle, run record.Run) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		for info, err := range h.Objects().List(ctx, &backend.ListOptions{Prefix: history.Prefix + run.ID + "/"}) {
			if err == nil && history.LifeOf(info.Key) != run.Life {
				continue
			}
			if !yield(info, err) || err != nil {
				return
			}
		}
	}
}

// sortOf gives the sort of a run's object: "files", "metrics" and so on.
func sortOf(key string) string {
	parts := strings.SplitN(key, "/", 4)
	sort, _, _ := strings.Cut(parts[2], "-")
	return sort
}

// bringDataset brings what is known of a dataset. It is written once, and what the
// destination has of it stays.
func (s *syncer) bringDataset(ctx context.Context, key string, mine map[string]backend.Info) error {
	if _, there := mine[key]; there || s.opts.DryRun {
		return nil
	}
	from, err := core.Get[record.RunDataset](ctx, s.src, key)
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = copyFixed(ctx, s, key, from)
	}
	if errors.Is(err, azml.ErrExists) {
		return nil
	}
	return err
}

// bringMetrics brings the run's points, and tells how many each writer has in the
// destination.
func (s *syncer) bringMetrics(ctx context.Context, r *carried, o *objects) (map[string]uint64, int64, error) {
	if o.metrics == 0 {
		return nil, 0, nil
	}
	if s.opts.DryRun {
		if r.there == nil || !r.there.Value.Status.Terminal() { // of runs that have ended, each side seals the points by itself, and sizes tell nothing
			s.note(func(rep *Report) { rep.MetricBytes += max(0, o.metrics-o.have) })
		}
		return nil, 0, nil
	}
	return s.carryMetrics(ctx, runUnits+r.id, r.from.Value.Status.Terminal(), func(h core.Handle) (*metrics.Log, error) { return history.Metrics(h, r.from.Value) })
}

// carryMetrics brings the points of a log. While it grows, a mirror keeps in mind
// how far it was read.
func (s *syncer) carryMetrics(ctx context.Context, unit string, ended bool, open func(core.Handle) (*metrics.Log, error)) (map[string]uint64, int64, error) {
	s.mu.Lock()
	c := s.carriers[unit]
	s.mu.Unlock()
	if c == nil {
		from, err := open(s.src)
		if err != nil {
			return nil, 0, err
		}
		to, err := open(s.dst)
		if err != nil {
			return nil, 0, err
		}
		c = metrics.NewCarrier(to, from)
	}
	done, err := c.Carry(ctx)
	s.note(func(r *Report) { r.Points, r.MetricBytes = r.Points+done.Points, r.MetricBytes+done.Bytes })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.carriers != nil {
		if s.carriers[unit] = c; ended || err != nil {
			delete(s.carriers, unit)
		}
	}
	return c.Stored(), done.Points, err
}

// complete compares what the destination has of the run by now with what its record
// says that it has: what is missing in the source is not to be missed here. A run
// that is being deleted in the source is left.
func (s *syncer) complete(ctx context.Context, r *carried, stored map[string]uint64) error {
	kept := r.from.Value.Kept
	if kept == nil || s.opts.DryRun {
		return nil
	}
	var missing error
	for writer, n := range kept.Points {
		if stored[writer] < n {
			missing = fmt.Errorf("%w: it has %d points of writer %s, and its record says %d", azml.ErrDamaged, stored[writer], writer, n)
		}
	}
	if !r.held && r.parts.count() < kept.FileParts {
		missing = fmt.Errorf("%w: a part of its list of files is missing", azml.ErrDamaged)
	}
	if missing == nil {
		return nil
	}
	now, err := core.Get[record.Run](ctx, s.src, history.Ref(r.id).Key)
	switch {
	case err != nil:
		return err
	case now.Value.Token != r.from.Value.Token:
		return errHeld // it has changed meanwhile, and comes with the next sync
	}
	return missing
}

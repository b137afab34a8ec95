package mlflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// experiment carries over an experiment with its runs and logged models. One
// that is archived here becomes deleted there when all is done.
func (x *exporter) experiment(ctx context.Context, e record.Experiment) error {
	there, created, err := x.findExperiment(ctx, e)
	if err != nil {
		return err
	}
	if created && x.opts.DryRun {
		return x.dryRuns(ctx, e)
	}
	if there.deleted && e.Archived.IsZero() {
		x.conflict("experiment", titleOf(e), "it is deleted on the server: its runs are not carried over")
		return nil
	}
	if there.deleted && !x.opts.DryRun { // from an export before, which may not have been whole
		if err := x.post(ctx, apiPath+"experiments/restore", map[string]any{"experiment_id": there.id}, nil); err != nil {
			return err
		}
	}
	t := &target{experiment: e, id: there.id}
	if t.runs, t.twins, err = x.known(ctx, there.id); err != nil {
		return err
	}
	if err := x.runs(ctx, t); err != nil {
		return err
	}
	if !x.opts.DryRun && t.twins {
		if err := x.removeTwins(ctx, t); err != nil {
			return err
		}
	}
	if err := x.loggedModels(ctx, t); err != nil {
		return err
	}
	for _, r := range t.open {
		if err := errors.Join(x.link(ctx, r), x.sealRun(ctx, r.rec, r.there)); err != nil {
			return fmt.Errorf("run %s: %w", r.rec.ID, err)
		}
	}
	if e.Archived.IsZero() || x.opts.DryRun {
		return nil
	}
	return x.post(ctx, apiPath+"experiments/delete", map[string]any{"experiment_id": there.id}, nil)
}

// target is an experiment of the server.
type target struct {
	experiment record.Experiment
	id         string
	runs       map[string]run // of the workspace's, by their IDs here
	twins      bool           // there may be two of one

	mu   sync.Mutex
	open []openRun
}

// openRun is a run of which something is to be done after its logged models were
// carried over.
type openRun struct {
	rec   record.Run
	there run
}

// findExperiment finds or makes the experiment.
func (x *exporter) findExperiment(ctx context.Context, e record.Experiment) (there experiment, created bool, err error) {
	tags := maps.Clone(e.Tags)
	if _, noted := tags[tagNote]; !noted && e.Description != "" {
		tags = core.ChangeLabels(tags, map[string]string{tagNote: e.Description}, nil)
	}
	name := titleOf(e)
	there, err = x.experimentByName(ctx, name)
	if errors.Is(err, azml.ErrNotFound) {
		created = true
		if x.opts.DryRun {
			x.report(func(d *Carried) { d.Experiments.Created++ })
			return there, true, nil
		}
		err = x.post(ctx, apiPath+"experiments/create", map[string]any{"name": name, "tags": pairs(tags)}, nil)
		if errors.Is(err, azml.ErrExists) { // an answer was lost, or somebody was faster
			err = nil
		}
		if err == nil {
			there, err = x.experimentByName(ctx, name)
		}
	}
	if err != nil {
		return there, created, err
	}
	missing := map[string]string{}
	if !created {
		missing = x.missing("experiment", name, "tag", there.tags, tags)
	}
	for key, value := range missing {
		if x.opts.DryRun || there.deleted {
			continue
		}
		if err := x.post(ctx, apiPath+"experiments/set-experiment-tag", map[string]any{"experiment_id": there.id, "key": key, "value": value}, nil); err != nil {
			return there, created, err
		}
	}
	x.report(func(d *Carried) { d.Experiments.count(created, len(missing) > 0) })
	return there, created, nil
}

func (x *exporter) experimentByName(ctx context.Context, name string) (experiment, error) {
	var answer struct {
		Experiment experimentMessage `json:"experiment"`
	}
	err := x.get(ctx, apiPath+"experiments/get-by-name", url.Values{"experiment_name": {name}}, &answer)
	return answer.Experiment.experiment(), err
}

// pairs gives labels as messages have them.
func pairs(labels map[string]string) []keyValue {
	list := make([]keyValue, 0, len(labels))
	for _, key := range sortedKeys(labels) {
		list = append(list, keyValue{key, labels[key]})
	}
	return list
}

// known gives the runs of the server that were carried over from a workspace,
// by their IDs there, and whether there are two of one: then it is the one that was
// carried over whole, or is not deleted, or else the first.
func (x *exporter) known(ctx context.Context, experimentID string) (found map[string]run, twins bool, err error) {
	found = map[string]run{}
	s := &server{x.client}
	for r, err := range s.runs(ctx, experimentID) {
		if err != nil {
			return nil, false, err
		}
		id := r.tags[tagRun]
		if id == "" {
			continue
		}
		other, twice := found[id]
		if !twice || other.unfilled() && !r.unfilled() || other.unfilled() && other.deleted {
			found[id] = r
		}
		twins = twins || twice
	}
	return found, twins, nil
}

// unfilled tells whether nobody has carried over the run whole, or to its end.
func (r run) unfilled() bool { return r.tags[tagState] == "" && !ended(r.status) }

// members calls each with the experiment's runs in the order of their numbers.
func (x *exporter) members(ctx context.Context, e record.Experiment, each func(record.Run) error) error {
	series := history.Numbers(e.Name)
	last, err := series.Last(ctx, x.h)
	for n := 1; err == nil && n <= last; n++ {
		var number core.Stored[record.RunNumber]
		if number, err = core.Get[record.RunNumber](ctx, x.h, series.Key(n)); err != nil {
			return err
		}
		stored, err := history.Get(ctx, x.h, number.Value.RunID)
		if errors.Is(err, azml.ErrNotFound) || err == nil && stored.Value.Number != n {
			continue // it was deleted, or has a number of its own since
		}
		if err != nil {
			return err
		}
		if err := each(stored.Value); err != nil {
			return fmt.Errorf("run %s: %w", stored.Value.ID, err)
		}
	}
	return err
}

// dryRuns counts runs of an experiment that is not on the server.
func (x *exporter) dryRuns(ctx context.Context, e record.Experiment) error {
	return x.members(ctx, e, func(record.Run) error {
		x.report(func(d *Carried) { d.Runs.Created++ })
		return nil
	})
}

package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

// wanted gives the units of the source that are to be looked at.
func (s *syncer) wanted(ctx context.Context, theirs map[string]mark) (map[string]bool, error) {
	todo := map[string]bool{}
	if s.whole {
		for unit := range theirs {
			todo[unit] = true
		}
		return todo, nil
	}
	w := &scope{s: s, units: map[string]bool{}, runs: map[string]bool{}, logged: map[string]bool{}}
	s.scope, s.upTo = w, map[string]int{}
	for _, name := range s.opts.Experiments {
		if err := w.experiment(ctx, name); err != nil {
			return nil, err
		}
	}
	for _, id := range s.opts.Runs {
		if err := w.run(ctx, id); err != nil {
			return nil, err
		}
	}
	if err := w.models(ctx, theirs); err != nil {
		return nil, err
	}
	for unit := range w.units {
		todo[unit] = true
	}
	for id := range w.runs {
		todo[runUnits+id] = true
	}
	for id := range w.logged {
		todo[loggedUnits+id] = true
	}
	return todo, nil
}

// scope gathers what is wanted.
type scope struct {
	s      *syncer
	units  map[string]bool
	runs   map[string]bool
	logged map[string]bool
}

// experiment adds an experiment with its runs.
func (w *scope) experiment(ctx context.Context, name string) error {
	e, err := history.Experiment(ctx, w.s.src, name)
	if err != nil {
		return fmt.Errorf("experiment %q: %w", name, err)
	}
	w.units[experimentUnits+e.Value.Name] = true
	return w.family(ctx, e.Value.Name, func(record.Run) bool { return true })
}

// run adds a run with those above and below it.
func (w *scope) run(ctx context.Context, id string) error {
	of, err := history.Get(ctx, w.s.src, id)
	if err != nil {
		return fmt.Errorf("run %q: %w", id, err)
	}
	w.add(of.Value)
	for r := of.Value; r.Parent != "" && r.Parent != r.ID; {
		parent, err := history.Get(ctx, w.s.src, r.Parent)
		if errors.Is(err, azml.ErrNotFound) {
			break
		}
		if err != nil {
			return err
		}
		w.add(parent.Value)
		r = parent.Value
	}
	below := map[string]bool{id: true}
	return w.family(ctx, of.Value.Experiment, func(r record.Run) bool {
		below[r.ID] = below[r.ID] || below[r.Parent]
		return below[r.ID]
	})
}

// family adds those runs of an experiment that pick accepts, asked in the order of
// their numbers.
func (w *scope) family(ctx context.Context, experiment string, pick func(record.Run) bool) error {
	var runs []record.Run
	for number, err := range core.Numbers[record.RunNumber](ctx, w.s.src, history.Numbers(experiment)) {
		if err != nil {
			return err
		}
		r, err := history.Get(ctx, w.s.src, number.Value.RunID)
		switch {
		case errors.Is(err, azml.ErrNotFound):
		case damage(err):
			w.runs[number.Value.RunID] = true // it is listed when it is read again
		case err != nil:
			return err
		default:
			runs = append(runs, r.Value)
		}
	}
	for _, r := range slices.Backward(runs) {
		if pick(r) {
			w.add(r)
		}
	}
	return nil
}

// add adds a run with the logged models that it names.
func (w *scope) add(r record.Run) {
	w.runs[r.ID] = true
	for _, id := range r.ModelInputs {
		w.logged[id] = true
	}
	for _, out := range r.ModelOutputs {
		w.logged[out.ModelID] = true
	}
}

// models adds the models that are named, those that were made of the runs, and the
// logged models of runs and experiments.
func (w *scope) models(ctx context.Context, theirs map[string]mark) error {
	for _, name := range w.s.opts.Models {
		m, err := registry.Find(ctx, w.s.src, name)
		if err != nil {
			return fmt.Errorf("model %q: %w", name, err)
		}
		w.units[modelUnits+m.Value.Name], w.s.upTo[m.Value.Name] = true, 0
	}
	if len(w.runs) == 0 {
		return nil
	}
	for unit := range theirs {
		if id, ok := strings.CutPrefix(unit, loggedUnits); ok {
			if err := w.loggedModel(ctx, id); err != nil {
				return err
			}
		}
		if name, ok := strings.CutPrefix(unit, modelUnits); ok {
			if err := w.registered(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *scope) loggedModel(ctx context.Context, id string) error {
	m, err := history.LoggedModel(ctx, w.s.src, id)
	if errors.Is(err, azml.ErrNotFound) || damage(err) {
		return nil
	}
	if err == nil && (w.runs[m.Value.RunID] || w.units[experimentUnits+m.Value.Experiment]) {
		w.logged[id] = true
	}
	return err
}

// registered adds the model up to the last version that was made of one of the
// runs: numbers have no gaps.
func (w *scope) registered(ctx context.Context, name string) error {
	if upTo, named := w.s.upTo[name]; named && upTo == 0 {
		return nil
	}
	for v, err := range core.Numbers[record.Model](ctx, w.s.src, registry.Versions(name)) {
		if damage(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if w.runs[v.Value.RunID] {
			w.units[modelUnits+name], w.s.upTo[name] = true, v.Value.Version
			return nil
		}
	}
	return nil
}

// touched gives those of the units that are wanted, by what was found to be wanted
// before, and by what they say of it now.
func (s *syncer) touched(ctx context.Context, units map[string]bool) (map[string]bool, error) {
	if s.whole {
		return units, nil
	}
	todo := map[string]bool{}
	for _, prefix := range prefixes { // what is new is known by the runs that it belongs to
		for unit := range units {
			name, ok := strings.CutPrefix(unit, prefix)
			if !ok {
				continue
			}
			wanted, err := s.scope.has(ctx, prefix, name)
			if err != nil {
				return nil, err
			}
			if wanted {
				todo[unit] = true
			}
		}
	}
	return todo, nil
}

// has tells whether a unit is wanted.
func (w *scope) has(ctx context.Context, prefix, name string) (bool, error) {
	switch prefix {
	case runUnits:
		r, err := history.Get(ctx, w.s.src, name)
		if errors.Is(err, azml.ErrNotFound) || damage(err) {
			return w.runs[name], nil
		}
		if err == nil && (w.runs[name] || w.runs[r.Value.Parent] || w.units[experimentUnits+r.Value.Experiment]) {
			w.add(r.Value)
		}
		return w.runs[name], err
	case loggedUnits:
		err := w.loggedModel(ctx, name)
		return w.logged[name], err
	case modelUnits:
		err := w.registered(ctx, name)
		return w.units[modelUnits+name], err
	}
	return w.units[prefix+name], nil
}

package mirror

import (
	"context"
	"errors"
	"slices"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

const loggedKind = "logged model"

// logged is a logged model on its way.
type logged struct {
	from  core.Stored[record.LoggedModel]
	parts *parts
	// bare says that its record alone is to be brought: it was deleted in one of the two.
	bare bool
}

// allLoggedModels brings logged models, some together, as runs are.
func (s *syncer) allLoggedModels(ctx context.Context, ids []string) error {
	for part := range slices.Chunk(ids, wave) {
		if err := s.loggedWave(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

func (s *syncer) loggedWave(ctx context.Context, ids []string) error {
	models := make(map[string]*logged, len(ids))
	var need []string
	for _, id := range ids {
		m, err := s.loadLogged(ctx, id)
		if !s.concerns(loggedKind, id, err) {
			return err
		}
		if m != nil && err == nil {
			models[id] = m
			need = append(need, m.parts.need...)
		}
	}
	files, err := s.bringContents(ctx, need)
	if err != nil {
		return err
	}
	return each(ctx, ids, func(ctx context.Context, id string) error {
		m := models[id]
		if m == nil {
			return nil
		}
		err := files.check(m.parts.need)
		if err == nil {
			err = s.bringLogged(ctx, m)
		}
		if s.concerns(loggedKind, id, err) {
			return nil
		}
		return err
	})
}

// concerns tells whether an error, or none, concerns one thing alone, and lists
// it. What is gone was deleted while it was brought.
func (s *syncer) concerns(kind, name string, err error) bool {
	if damage(err) {
		s.damaged(kind, name, err)
	}
	return err == nil || damage(err) || errors.Is(err, errHeld) || errors.Is(err, azml.ErrNotFound)
}

// loadLogged reads the logged model, nil when there is nothing to be brought: one
// that was deleted before it came.
func (s *syncer) loadLogged(ctx context.Context, id string) (*logged, error) {
	ref := history.LoggedModelRef(id)
	from, err := core.Get[record.LoggedModel](ctx, s.src, ref.Key)
	if errors.Is(err, azml.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	there, err := core.Get[record.LoggedModel](ctx, s.dst, ref.Key)
	switch {
	case errors.Is(err, azml.ErrNotFound) && !from.Value.Deleted.IsZero():
		s.settle(loggedUnits + id)
		return nil, nil
	case err != nil && !errors.Is(err, azml.ErrNotFound):
		return nil, err
	}
	fresh := err != nil
	m := &logged{from: from, parts: &parts{}}
	if m.bare = !from.Value.Deleted.IsZero() || !fresh && !there.Value.Deleted.IsZero(); m.bare {
		return m, nil
	}
	if m.parts, err = s.countedParts(ctx, "files of logged model", id, history.LoggedModelFiles(id).Series()); err != nil {
		return nil, err
	}
	return m, s.planParts(ctx, m.parts, fresh)
}

// bringLogged brings what belongs to the logged model, and then its record.
func (s *syncer) bringLogged(ctx context.Context, m *logged) error {
	id := m.from.Value.ID
	if err := s.experiment(ctx, m.from.Value.Experiment); err != nil {
		return err
	}
	if err := s.addParts(ctx, m.parts); err != nil {
		return err
	}
	var points int64
	if !m.bare && !s.opts.DryRun {
		var err error
		if _, points, err = s.carryMetrics(ctx, loggedUnits+id, true, func(h core.Handle) (*metrics.Log, error) { return history.ModelMetrics(h, id) }); err != nil {
			return err
		}
	}
	out, err := bring(ctx, s, m.from, subject[record.LoggedModel]{
		ref:     history.LoggedModelRef(id),
		removed: func(rec *record.LoggedModel) bool { return !rec.Deleted.IsZero() },
		detail:  func(rec *record.LoggedModel) string { return rec.Status },
	})
	if err != nil {
		return err
	}
	if m.bare && out == updated && m.from.Value.Deleted.IsZero() && !s.opts.DryRun {
		return s.loggedWave(ctx, []string{id}) // it is there again: now all that it has, which counts it
	}
	s.note(func(r *Report) {
		if out == unchanged && (points > 0 || len(m.parts.add) > 0) {
			out = updated
		}
		out.count(&r.LoggedModels)
	})
	if out.settled() {
		s.settle(loggedUnits + id)
	}
	return nil
}

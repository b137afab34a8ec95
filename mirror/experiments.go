package mirror

import (
	"context"
	"errors"
	"fmt"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// errGone says that the source lacks what something in it refers to.
func errGone(ref core.Ref) error {
	return fmt.Errorf("%w: %s %s is not there", azml.ErrDamaged, ref.Kind, ref.Name)
}

// errHeld says that something can't be brought because of a conflict about
// another thing, which is listed.
var errHeld = errors.New("held up by a conflict")

// allExperiments brings experiments and their further names. One that was deleted
// in the destination stays away unless a run needs it.
func (s *syncer) allExperiments(ctx context.Context, names []string) error {
	return each(ctx, names, func(ctx context.Context, name string) error {
		ref := history.ExperimentRef(name)
		if _, err := s.dst.Objects().Stat(ctx, ref.Key); errors.Is(err, azml.ErrNotFound) {
			removed, err := s.wasDeleted(ctx, ref.Key)
			if err != nil {
				return err
			}
			if removed {
				s.kept(ref.Kind, name, s.dst.Workspace().Name)
				return nil
			}
		} else if err != nil {
			return err
		}
		err := s.experiment(ctx, name)
		switch {
		case damage(err):
			s.damaged(ref.Kind, name, err)
			return nil
		case errors.Is(err, errHeld):
			return nil
		}
		return err
	})
}

// experiment brings the experiment, once in a pass. Errors: errHeld when its name
// means something else in the destination; ErrDamaged when it can't be read.
func (s *syncer) experiment(ctx context.Context, name string) error {
	s.mu.Lock()
	err, ok := s.experiments[name]
	s.mu.Unlock()
	if ok {
		return err
	}
	err = s.bringExperiment(ctx, name)
	if err != nil && !damage(err) && !errors.Is(err, errHeld) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.experiments[name] = err
	return err
}

func (s *syncer) bringExperiment(ctx context.Context, name string) error {
	ref := history.ExperimentRef(name)
	from, err := core.Get[record.Experiment](ctx, s.src, ref.Key)
	if errors.Is(err, azml.ErrNotFound) {
		err = errGone(ref)
	}
	if err != nil {
		return err
	}
	held := false
	out, err := bring(ctx, s, from, subject[record.Experiment]{
		ref:   ref,
		tally: func(c *Counts) *Tally { return &c.Experiments },
		localize: func(rec, there *record.Experiment) {
			if there != nil {
				rec.ID = there.ID // two of one name are one experiment
			}
		},
		holds: func(rec, there *record.Experiment) string {
			if held = rec.AliasOf != there.AliasOf; held {
				return "the name is another experiment's in one of them"
			}
			return ""
		},
		blank: func(rec *record.Experiment) bool {
			return rec.AliasOf+rec.Title+rec.Description+rec.ArtifactLocation == "" && len(rec.Tags) == 0 && rec.Archived.IsZero()
		},
	})
	if err != nil {
		return err
	}
	if out.settled() {
		s.settle(experimentUnits + name)
	}
	if held {
		return fmt.Errorf("%w: experiment %s", errHeld, name)
	}
	return nil
}

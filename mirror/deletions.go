package mirror

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/run"
)

// Runs, experiments and datastores leave nothing behind when they are deleted. That one was in
// the source says its record in the destination, that it was in the destination
// the audit log of that.

// deletions deletes in the destination the runs, experiments and datastores that were deleted
// in the source, if that is asked for and everything is synced.
func (s *syncer) deletions(ctx context.Context, theirs, mine map[string]mark) error {
	if !s.opts.Delete || !s.whole {
		return nil
	}
	for _, unit := range slices.Sorted(maps.Keys(mine)) {
		if _, there := theirs[unit]; there {
			continue
		}
		var err error
		if id, ok := strings.CutPrefix(unit, runUnits); ok {
			err = s.deleteRun(ctx, id)
		} else if name, ok := strings.CutPrefix(unit, experimentUnits); ok {
			err = s.deleteExperiment(ctx, name)
		} else if name, ok := strings.CutPrefix(unit, datastoreUnits); ok {
			err = s.deleteDatastore(ctx, name)
		}
		if err != nil && !errors.Is(err, azml.ErrNotFound) && !damage(err) {
			return err
		}
	}
	return nil
}

// orphaned tells whether a record of the destination came from the source, which
// has it no more. One that was changed here since is a conflict.
func orphaned[T any, P pointer[T]](s *syncer, there core.Stored[T], ref core.Ref, detail func(*T) string) bool {
	meta := P(&there.Value).Common()
	if !meta.Knows(s.src.Workspace().ID) {
		return false
	}
	if meta.Origin == s.src.Workspace().ID {
		return true
	}
	c := Conflict{Kind: ref.Kind, Name: ref.Name, Reason: "it was deleted in the source, and changed in the destination",
		Source: Side{Detail: "deleted"}, Destination: sideOf[T, P](there, detail)}
	choice := s.resolve(c)
	if choice == Both {
		choice = Leave
	}
	s.decided(c, choice)
	return choice == Source
}

func (s *syncer) deleteRun(ctx context.Context, id string) error {
	there, err := history.Get(ctx, s.dst, id)
	if err != nil || !orphaned(s, there, history.Ref(id), runDetail) {
		return err
	}
	if !s.opts.DryRun {
		if err := run.NewClient(s.dst).Delete(ctx, id, nil); err != nil {
			return s.notDeleted("run", id, err)
		}
	}
	s.note(func(r *Report) { r.Runs.Deleted++ })
	return nil
}

func (s *syncer) deleteExperiment(ctx context.Context, name string) error {
	ref := history.ExperimentRef(name)
	there, err := core.Get[record.Experiment](ctx, s.dst, ref.Key)
	if err != nil || there.Value.AliasOf != "" || !orphaned(s, there, ref, nil) {
		return err
	}
	if !s.opts.DryRun {
		if err := experiment.NewClient(s.dst).Delete(ctx, name, nil); err != nil {
			return s.notDeleted(ref.Kind, name, err)
		}
	}
	s.note(func(r *Report) { r.Experiments.Deleted++ })
	return nil
}

func (s *syncer) deleteDatastore(ctx context.Context, name string) error {
	ref := datastoreRef(name)
	there, err := core.Get[record.Datastore](ctx, s.dst, ref.Key)
	if err != nil || !orphaned(s, there, ref, nil) {
		return err
	}
	if !s.opts.DryRun {
		if err := datastore.NewClient(s.dst).Unregister(ctx, name, nil); err != nil {
			return s.notDeleted(ref.Kind, name, err)
		}
	}
	s.note(func(r *Report) { r.Datastores.Deleted++ })
	return nil
}

// notDeleted lists what is still in use in the destination.
func (s *syncer) notDeleted(kind, name string, err error) error {
	if errors.Is(err, azml.ErrConflict) {
		s.kept(kind, name, s.src.Workspace().Name)
		return nil
	}
	return err
}

// wasDeleted tells whether the record of this key was deleted in the destination.
// The first time in a pass, it reads the audit log.
func (s *syncer) wasDeleted(ctx context.Context, key string) (bool, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if s.removed == nil {
		removed := map[string]bool{}
		damaged := func(string, int, error) {} // fsck tells of lines that can't be read
		for lines, err := range core.AuditDays(ctx, s.dst, time.Time{}, damaged) {
			if err != nil {
				return false, err
			}
			for _, line := range lines {
				var of string
				switch {
				case line.Failure != "":
					continue
				case line.Kind == "run":
					of = history.Ref(line.Name).Key
				case line.Kind == "experiment":
					of = history.ExperimentRef(line.Name).Key
				case line.Kind == "datastore":
					of = datastoreRef(line.Name).Key
				}
				removed[of] = line.Op == "delete" || removed[of] && line.Op != "create"
			}
		}
		s.removed = removed
	}
	return s.removed[key], nil
}

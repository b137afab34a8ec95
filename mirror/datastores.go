package mirror

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

const datastoreKind = "datastore"

func datastoreRef(name string) core.Ref {
	return core.Ref{Kind: datastoreKind, Name: name, Key: datastoreUnits + name + ".json"}
}

// allDatastores brings the records of datastores. One that was deleted in the
// destination stays away.
func (s *syncer) allDatastores(ctx context.Context, names []string) error {
	return each(ctx, names, func(ctx context.Context, name string) error {
		ref := datastoreRef(name)
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
		err := s.datastore(ctx, ref)
		if s.concerns(ref.Kind, name, err) {
			return nil
		}
		return err
	})
}

// datastore brings a datastore without its credentials: those that the destination
// has stay with it as long as they lead to the same place.
func (s *syncer) datastore(ctx context.Context, ref core.Ref) error {
	from, err := core.Get[record.Datastore](ctx, s.src, ref.Key)
	if err != nil {
		return err
	}
	out, err := bring(ctx, s, from, subject[record.Datastore]{
		ref:   ref,
		tally: func(c *Counts) *Tally { return &c.Datastores },
		localize: func(rec, there *record.Datastore) {
			rec.Secret = ""
			if there != nil && there.Type == rec.Type && maps.Equal(there.Connection, rec.Connection) {
				rec.Secret = there.Secret
			}
		},
		detail: func(rec *record.Datastore) string { return rec.Type },
	})
	if err == nil && out.settled() {
		s.settle(datastoreUnits + ref.Name)
	}
	return err
}

// missingCredentials lists the datastores that have credentials in the source and
// none in the destination.
func (s *syncer) missingCredentials(ctx context.Context, theirs map[string]mark) error {
	for unit := range theirs {
		name, ok := strings.CutPrefix(unit, datastoreUnits)
		if !ok {
			continue
		}
		from, err := core.Get[record.Datastore](ctx, s.src, datastoreRef(name).Key)
		if damage(err) || errors.Is(err, azml.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if from.Value.Secret == "" {
			continue
		}
		there, err := core.Get[record.Datastore](ctx, s.dst, datastoreRef(name).Key)
		switch {
		case errors.Is(err, azml.ErrNotFound) || damage(err):
		case err != nil:
			return err
		case there.Value.Secret == "":
			s.note(func(r *Report) { r.MissingCredentials = append(r.MissingCredentials, name) })
		}
	}
	return nil
}

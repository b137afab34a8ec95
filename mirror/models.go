package mirror

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

// registered is a registered model on its way.
type registered struct {
	versions[record.Model, *record.Model]
	name string
}

func (s *syncer) newRegistered(name string) *registered {
	return &registered{name: name, versions: versions[record.Model, *record.Model]{
		s: s, series: registry.Versions(name), kind: "model", to: map[int]int{}, whole: true,
		tally:    func(c *Counts) *Tally { return &c.Versions },
		number:   func(rec *record.Model) *int { return &rec.Version },
		manifest: func(rec *record.Model) string { return rec.Manifest },
		removed:  func(rec *record.Model) bool { return !rec.Deleted.IsZero() },
		detail:   versionDetail,
		refer:    s.referToDatasets,
	}}
}

// referToDatasets gives what makes a model name the versions of datasets by the
// numbers that they have in the destination.
func (s *syncer) referToDatasets(ctx context.Context, rec record.Model) (func(rec *record.Model), error) {
	to := map[string]string{rec.SampleInput: "", rec.SampleOutput: ""}
	for _, d := range rec.Datasets {
		to[d.Dataset] = ""
	}
	for id := range to {
		var err error
		if to[id], err = s.datasetThere(ctx, id); err != nil {
			return nil, err
		}
	}
	return func(rec *record.Model) {
		rec.SampleInput, rec.SampleOutput, rec.Datasets = to[rec.SampleInput], to[rec.SampleOutput], slices.Clone(rec.Datasets)
		for i, d := range rec.Datasets {
			rec.Datasets[i].Dataset = to[d.Dataset]
		}
	}, nil
}

// allModels brings registered models with their versions.
func (s *syncer) allModels(ctx context.Context, names []string) error {
	return each(ctx, names, func(ctx context.Context, name string) error {
		m := s.newRegistered(name)
		err := m.bring(ctx)
		if err == nil && m.whole {
			s.settle(modelUnits + name)
		}
		if s.concerns("registered model", name, err) {
			return nil
		}
		return err
	})
}

// bring brings the model's versions, one after the other, and its record, which is
// there before the first version and has its aliases when their versions are there.
func (m *registered) bring(ctx context.Context) error {
	from, err := core.Get[record.RegisteredModel](ctx, m.s.src, registry.Ref(m.name).Key)
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = m.s.dst.Objects().Stat(ctx, registry.Ref(m.name).Key)
	fresh := errors.Is(err, azml.ErrNotFound)
	switch {
	case err != nil && !fresh:
		return err
	case fresh && !from.Value.Deleted.IsZero():
		return nil // it was deleted before it came
	case fresh && len(from.Value.Aliases) > 0:
		if err := m.begin(ctx, from); err != nil {
			return err
		}
	case fresh:
		if err := m.record(ctx, from); err != nil {
			return err
		}
	}
	if err := m.bringAll(ctx, m.s.upTo[m.name]); err != nil {
		return err
	}
	if fresh && len(from.Value.Aliases) == 0 {
		return nil
	}
	return m.record(ctx, from)
}

// begin makes the record without its aliases, as a state that the source's comes
// after.
func (m *registered) begin(ctx context.Context, from core.Stored[record.RegisteredModel]) error {
	stub := from
	stub.Value.Aliases = nil
	stub.Value.Born, stub.Value.Token = from.Value.Birth(), core.NewID(16)
	stub.Value.Modified = from.Value.Modified.Add(-time.Nanosecond)
	err := create(ctx, m.s, stub, subject[record.RegisteredModel]{ref: registry.Ref(m.name)})
	if errors.Is(err, azml.ErrExists) { // another sync was faster
		return nil
	}
	return err
}

// record brings the model's own record. Its aliases point to the destination's
// numbers.
func (m *registered) record(ctx context.Context, from core.Stored[record.RegisteredModel]) error {
	for alias, n := range from.Value.Aliases {
		if m.to[n] == 0 { // its version is held up, and told of
			m.whole = false
			m.s.dst.Logger().InfoContext(ctx, "a model's record waits for a version", "model", m.name, "alias", alias, "version", n)
			return nil
		}
	}
	out, err := bring(ctx, m.s, from, subject[record.RegisteredModel]{
		ref:   registry.Ref(m.name),
		tally: func(c *Counts) *Tally { return &c.Models },
		localize: func(rec, _ *record.RegisteredModel) {
			if len(rec.Aliases) == 0 {
				return
			}
			rec.Aliases = maps.Clone(rec.Aliases)
			for alias, n := range rec.Aliases {
				rec.Aliases[alias] = m.to[n]
			}
		},
		removed: func(rec *record.RegisteredModel) bool { return !rec.Deleted.IsZero() },
		holds: func(rec, there *record.RegisteredModel) string {
			if rec.NameOf != there.NameOf {
				return "the name is another model's in one of them"
			}
			return ""
		},
		blank: func(rec *record.RegisteredModel) bool {
			return rec.NameOf+rec.Title+rec.Description == "" && len(rec.Tags)+len(rec.Aliases) == 0 && !rec.Staged && rec.Deleted.IsZero()
		},
	})
	m.whole = m.whole && out.settled()
	return err
}

func versionDetail(v *record.Model) string {
	if !v.Deleted.IsZero() {
		return "deleted"
	}
	if v.RunID != "" {
		return "from run " + v.RunID
	}
	return v.Path
}

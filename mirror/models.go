package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

// registered is a registered model on its way.
type registered struct {
	s      *syncer
	name   string
	series core.Series
	to     map[int]int // the numbers in the destination by those in the source
	whole  bool        // nothing of it was left
}

// allModels brings registered models with their versions.
func (s *syncer) allModels(ctx context.Context, names []string) error {
	return each(ctx, names, func(ctx context.Context, name string) error {
		m := &registered{s: s, name: name, series: registry.Versions(name), to: map[int]int{}, whole: true}
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
	if err := m.versions(ctx); err != nil {
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
		detail: func(rec *record.RegisteredModel) string { return rec.Description },
	})
	m.whole = m.whole && out.settled()
	return err
}

// versions brings the versions in their order.
func (m *registered) versions(ctx context.Context) error {
	last, err := m.series.Last(ctx, m.s.src)
	if err != nil {
		return err
	}
	if upTo := m.s.upTo[m.name]; upTo > 0 && upTo < last {
		last, m.whole = upTo, false
	}
	for n := 1; n <= last; n++ {
		if err := m.version(ctx, n); err != nil {
			return fmt.Errorf("version %d: %w", n, err)
		}
	}
	return nil
}

// version brings a version.
func (m *registered) version(ctx context.Context, n int) error {
	from, err := core.Get[record.Model](ctx, m.s.src, m.series.Key(n))
	if err != nil {
		return err
	}
	there, err := core.Get[record.Model](ctx, m.s.dst, m.series.Key(n))
	fresh := errors.Is(err, azml.ErrNotFound)
	if err != nil && !fresh {
		return err
	}
	// One that was only ever in the source can't be under another number.
	if fresh && (from.Value.Origin != "" || len(from.Value.Seen) > 0) || !fresh && relate(m.s, from, there) == record.Strangers {
		k, err := m.counterpart(ctx, from)
		if err != nil {
			return err
		}
		if k > 0 {
			return m.bringVersion(ctx, from, k)
		}
	}
	if fresh {
		if err := m.files(ctx, from.Value); err != nil {
			return err
		}
	}
	return m.bringVersion(ctx, from, n) // of strangers a conflict, unless they are alike
}

// files brings the version's files.
func (m *registered) files(ctx context.Context, v record.Model) error {
	if v.Manifest == "" || !v.Deleted.IsZero() {
		return nil
	}
	files, err := m.s.bringContents(ctx, []string{v.Manifest})
	if err != nil {
		return err
	}
	return files.check([]string{v.Manifest})
}

// bringVersion brings the source's version to a number of the destination.
func (m *registered) bringVersion(ctx context.Context, from core.Stored[record.Model], n int) error {
	was := from.Value.Version
	out, err := bring(ctx, m.s, from, subject[record.Model]{
		ref:      m.series.Ref(n),
		tally:    func(c *Counts) *Tally { return &c.Versions },
		localize: func(rec, _ *record.Model) { rec.Version = n },
		removed:  func(rec *record.Model) bool { return !rec.Deleted.IsZero() },
		detail:   versionDetail,
		both:     func(ctx context.Context) error { return m.renumber(ctx, from) },
	})
	if err != nil {
		return err
	}
	if _, done := m.to[was]; !done && out.settled() {
		m.to[was] = n
	}
	m.whole = m.whole && out.settled()
	return nil
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

// counterpart looks for the version among those of the destination, where it may
// have got another number. It gives 0 when it is none of them.
func (m *registered) counterpart(ctx context.Context, from core.Stored[record.Model]) (int, error) {
	for there, err := range core.Numbers[record.Model](ctx, m.s.dst, m.series) {
		if err != nil {
			return 0, err
		}
		if there.Value.Birth() == from.Value.Birth() {
			return there.Value.Version, nil
		}
	}
	return 0, nil
}

// renumber brings the version as the next one of the destination. Of several syncs
// at once one does it: who is late finds the version among those up to the last, or
// at the number that he tried.
func (m *registered) renumber(ctx context.Context, from core.Stored[record.Model]) error {
	if err := m.files(ctx, from.Value); err != nil {
		return err
	}
	last, err := m.series.Last(ctx, m.s.dst)
	if err != nil {
		return err
	}
	n, err := m.counterpart(ctx, from)
	if n > 0 || err != nil {
		m.to[from.Value.Version] = n
		return err
	}
	for n = last + 1; ; n++ {
		err := create(ctx, m.s, from, subject[record.Model]{ref: m.series.Ref(n),
			localize: func(rec, _ *record.Model) { rec.Version = n }})
		if errors.Is(err, azml.ErrExists) {
			there, err := core.Get[record.Model](ctx, m.s.dst, m.series.Key(n))
			if err != nil {
				return err
			}
			if there.Value.Birth() != from.Value.Birth() {
				continue
			}
		} else if err != nil {
			return err
		}
		m.to[from.Value.Version] = n
		m.s.note(func(r *Report) { r.Versions.Created++ })
		m.s.renumbered("model", m.name, strconv.Itoa(from.Value.Version), strconv.Itoa(n))
		return nil
	}
}

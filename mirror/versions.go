package mirror

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// versions are the versions of a model or dataset on their way.
type versions[T any, P pointer[T]] struct {
	s      *syncer
	series core.Series
	kind   string // of a version that gets another number, for the report
	tally  func(c *Counts) *Tally
	number func(rec *T) *int
	// manifest is that of the version's files, "" for none.
	manifest func(rec *T) string
	removed  func(rec *T) bool
	detail   func(rec *T) string
	// refer, when not nil, gives what makes the version refer to what the
	// destination has. It must not change what maps and lists hold.
	refer func(ctx context.Context, rec T) (func(rec *T), error)
	// before, when not nil, is called before a version is made in the destination.
	before func(ctx context.Context, rec T) error
	// after, when not nil, is called when the version is in the destination.
	after func(ctx context.Context, rec T, n int) error

	to    map[int]int // the numbers in the destination by those in the source
	whole bool        // nothing of it was left
}

// bringAll brings the versions in their order, up to one unless that is 0.
func (v *versions[T, P]) bringAll(ctx context.Context, upTo int) error {
	last, err := v.series.Last(ctx, v.s.src)
	if err != nil {
		return err
	}
	if upTo > 0 && upTo < last {
		last, v.whole = upTo, false
	}
	for n := 1; n <= last; n++ {
		if err := v.version(ctx, n); err != nil {
			return fmt.Errorf("version %d: %w", n, err)
		}
	}
	return nil
}

// version brings a version.
func (v *versions[T, P]) version(ctx context.Context, n int) error {
	from, err := core.Get[T, P](ctx, v.s.src, v.series.Key(n))
	if err != nil {
		return err
	}
	there, err := core.Get[T, P](ctx, v.s.dst, v.series.Key(n))
	fresh := errors.Is(err, azml.ErrNotFound)
	if err != nil && !fresh {
		return err
	}
	// One that was only ever in the source can't be under another number.
	meta := P(&from.Value).Common()
	if fresh && (meta.Origin != "" || len(meta.Seen) > 0) || !fresh && relate[T, P](v.s, from, there) == record.Strangers {
		k, err := v.counterpart(ctx, from)
		if err != nil {
			return err
		}
		if k > 0 {
			return v.bringTo(ctx, from, k)
		}
	}
	return v.bringTo(ctx, from, n) // of strangers a conflict, unless they are alike
}

// needs brings what the version needs, but files that the one that is there keeps
// already.
func (v *versions[T, P]) needs(ctx context.Context, rec, there *T) error {
	if v.before != nil && !v.s.opts.DryRun {
		if err := v.before(ctx, *rec); err != nil {
			return err
		}
	}
	if there != nil && !v.removed(there) && v.manifest(rec) == v.manifest(there) {
		return nil
	}
	return v.files(ctx, rec)
}

// files brings the version's files.
func (v *versions[T, P]) files(ctx context.Context, rec *T) error {
	id := v.manifest(rec)
	if id == "" || v.removed(rec) {
		return nil
	}
	files, err := v.s.bringContents(ctx, []string{id})
	if err != nil {
		return err
	}
	return files.check([]string{id})
}

// mend brings the files of a version whose list of them is gone in the destination
// though its record is there, and tells whether that was so.
func (v *versions[T, P]) mend(ctx context.Context, from core.Stored[T], n int) (bool, error) {
	there, err := core.Get[T, P](ctx, v.s.dst, v.series.Key(n))
	if err != nil {
		return false, err
	}
	id := v.manifest(&there.Value)
	if id == "" || id != v.manifest(&from.Value) || v.removed(&there.Value) {
		return false, nil
	}
	_, err = v.s.dst.Files().Manifest(ctx, id)
	if !errors.Is(err, azml.ErrNotFound) && !errors.Is(err, azml.ErrDamaged) {
		return false, err
	}
	return true, v.files(ctx, &from.Value)
}

// bringTo brings the source's version to a number of the destination.
func (v *versions[T, P]) bringTo(ctx context.Context, from core.Stored[T], n int) error {
	was := *v.number(&from.Value)
	localize, err := v.localizer(ctx, from.Value)
	if err != nil {
		return err
	}
	out, err := bring[T, P](ctx, v.s, from, subject[T]{
		ref:      v.series.Ref(n),
		localize: localize(n),
		removed:  v.removed,
		needs:    v.needs,
		holds:    func(_, _ *T) string { return v.taken(was, n) },
		detail:   v.detail,
		both:     func(ctx context.Context) error { return v.renumber(ctx, from) },
	})
	if err != nil {
		return err
	}
	if out == unchanged && v.s.opts.Verify {
		mended, err := v.mend(ctx, from, n)
		if err != nil {
			return err
		}
		if mended {
			out = updated
		}
	}
	v.s.note(func(r *Report) { out.count(v.tally(&r.Counts)) })
	v.whole = v.whole && out.settled()
	if _, done := v.to[was]; done || !out.settled() {
		return nil
	}
	return v.arrived(ctx, from.Value, n)
}

// taken gives a reason why a version of the source must not get a number of the
// destination: another one of the source has it there, which would be lost.
func (v *versions[T, P]) taken(was, n int) string {
	for other, to := range v.to {
		if to == n && other != was {
			return fmt.Sprintf("the number is that of version %d of %s", other, v.s.src.Workspace().Name)
		}
	}
	return ""
}

// localizer gives what makes a version one of the destination, under a number.
func (v *versions[T, P]) localizer(ctx context.Context, rec T) (func(n int) func(rec, _ *T), error) {
	refer := func(*T) {}
	if v.refer != nil {
		var err error
		if refer, err = v.refer(ctx, rec); err != nil {
			return nil, err
		}
	}
	return func(n int) func(rec, _ *T) {
		return func(rec, _ *T) {
			*v.number(rec) = n
			refer(rec)
		}
	}, nil
}

// arrived notes under which number the version is in the destination.
func (v *versions[T, P]) arrived(ctx context.Context, rec T, n int) error {
	v.to[*v.number(&rec)] = n
	if v.after == nil || v.s.opts.DryRun {
		return nil
	}
	return v.after(ctx, rec, n)
}

// counterpart looks for the version among those of the destination, where it may
// have got another number. It gives 0 when it is none of them.
func (v *versions[T, P]) counterpart(ctx context.Context, from core.Stored[T]) (int, error) {
	for there, err := range core.Numbers[T, P](ctx, v.s.dst, v.series) {
		if err != nil {
			return 0, err
		}
		if P(&there.Value).Common().Birth() == P(&from.Value).Common().Birth() {
			return *v.number(&there.Value), nil
		}
	}
	return 0, nil
}

// renumber brings the version as the next one of the destination. Of several syncs
// at once one does it: who is late finds the version among those up to the last, or
// at the number that he tried.
func (v *versions[T, P]) renumber(ctx context.Context, from core.Stored[T]) error {
	last, err := v.series.Last(ctx, v.s.dst)
	if err != nil {
		return err
	}
	n, err := v.counterpart(ctx, from)
	if err != nil {
		return err
	}
	if n > 0 {
		return v.arrived(ctx, from.Value, n)
	}
	localize, err := v.localizer(ctx, from.Value)
	if err != nil {
		return err
	}
	for n = last + 1; ; n++ {
		err := create[T, P](ctx, v.s, from, subject[T]{ref: v.series.Ref(n), localize: localize(n), needs: v.needs})
		if errors.Is(err, azml.ErrExists) {
			there, err := core.Get[T, P](ctx, v.s.dst, v.series.Key(n))
			if err != nil {
				return err
			}
			if P(&there.Value).Common().Birth() != P(&from.Value).Common().Birth() {
				continue
			}
		} else if err != nil {
			return err
		}
		v.s.note(func(r *Report) { v.tally(&r.Counts).Created++ })
		v.s.renumbered(v.kind, v.series.Name, strconv.Itoa(*v.number(&from.Value)), strconv.Itoa(n))
		return v.arrived(ctx, from.Value, n)
	}
}

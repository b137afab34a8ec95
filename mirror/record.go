package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// pointer ties a record's struct to its methods.
type pointer[T any] interface {
	*T
	record.Record
}

// outcome says what became of a record.
type outcome int

const (
	unchanged outcome = iota
	created
	updated
	deleted
	left // as it is, though the source has something else
	gone // it was deleted in the destination while it was brought
)

// settled tells whether there is nothing left to do.
func (o outcome) settled() bool { return o != left && o != gone }

// count counts an outcome.
func (o outcome) count(t *Tally) {
	switch o {
	case created:
		t.Created++
	case updated:
		t.Updated++
	case deleted:
		t.Deleted++
	case unchanged:
		t.Unchanged++
	}
}

// subject is how records of a kind are brought over. All functions but tally may
// be nil.
type subject[T any] struct {
	ref   core.Ref // in the destination
	tally func(c *Counts) *Tally
	// localize makes a record of the source what the destination is to have, where
	// there is what that has now, or nil. It must not change what maps hold.
	localize func(rec, there *T)
	// removed tells whether the record is one of a deleted thing.
	removed func(rec *T) bool
	// needs brings what a record of the source needs, before it is written over the
	// one that is there, or nil.
	needs func(ctx context.Context, rec, there *T) error
	// holds gives a reason why the source's state must not be taken over this one
	// when both were changed, whatever is decided.
	holds func(rec, there *T) string
	// blank tells whether nothing was ever said of the thing but that it exists, so
	// that one that was made elsewhere under the same name may take its place.
	blank func(rec *T) bool
	// quiet tells whether a change is none of a resource, so that it leaves no line
	// in the audit log.
	quiet func(rec, there *T) bool
	// detail says in a few words what a record is.
	detail func(rec *T) string
	// both brings the source's state beside the one that is there.
	both func(ctx context.Context) error
}

// tries bounds how often a record is compared anew because somebody else has
// changed it meanwhile.
const tries = 100

// bring makes the destination's record go on to the source's state, if that
// comes after it. What is no error: that it does not.
func bring[T any, P pointer[T]](ctx context.Context, s *syncer, from core.Stored[T], sub subject[T]) (outcome, error) {
	existed := false
	for range tries {
		there, err := core.Get[T, P](ctx, s.dst, sub.ref.Key)
		switch {
		case errors.Is(err, azml.ErrNotFound) && existed:
			return gone, nil
		case errors.Is(err, azml.ErrNotFound):
			err = create[T, P](ctx, s, from, sub)
			if errors.Is(err, azml.ErrExists) {
				continue
			}
			return s.counted(created, err, sub.tally)
		case err != nil:
			return left, err
		}
		existed = true
		out, err := compared[T, P](ctx, s, from, there, sub)
		if !errors.Is(err, azml.ErrConflict) {
			return s.counted(out, err, sub.tally)
		}
	}
	return left, fmt.Errorf("%w: %s was changed by others %d times in a row", azml.ErrConflict, sub.ref.Key, tries)
}

// counted counts the outcome.
func (s *syncer) counted(out outcome, err error, tally func(*Counts) *Tally) (outcome, error) {
	if err != nil {
		return left, err
	}
	if tally != nil {
		s.note(func(r *Report) { out.count(tally(&r.Counts)) })
	}
	return out, nil
}

// compared does what the relation of the two states asks for. ErrConflict says
// that the destination's has changed since it was read.
func compared[T any, P pointer[T]](ctx context.Context, s *syncer, from, there core.Stored[T], sub subject[T]) (outcome, error) {
	switch relate[T, P](s, from, there) {
	case record.Same, record.Older:
		return unchanged, nil
	case record.Newer:
		return replace[T, P](ctx, s, moved[T, P](s, from), there, sub)
	}
	theirs, mine, err := texts[T, P](from, there, sub)
	if err != nil {
		return left, err
	}
	switch {
	case bytes.Equal(theirs, mine), sub.blank != nil && sub.blank(&from.Value):
		return unchanged, nil
	case sub.blank != nil && sub.blank(&there.Value):
		return replace[T, P](ctx, s, moved[T, P](s, from), there, sub)
	}
	c := Conflict{Kind: sub.ref.Kind, Name: sub.ref.Name, Reason: "it was changed in both workspaces",
		Source: sideOf[T, P](from, sub.detail), Destination: sideOf[T, P](there, sub.detail)}
	strangers := relate[T, P](s, from, there) == record.Strangers
	if strangers {
		c.Reason = "one was made in each workspace"
	}
	if !strangers || sub.detail == nil {
		c.differ(theirs, mine)
	}
	held := ""
	if sub.holds != nil {
		held = sub.holds(&from.Value, &there.Value)
	}
	if held != "" {
		c.Reason += ": " + held
	}
	switch choice := s.resolve(c); {
	case choice == Both && sub.both != nil && strangers:
		s.decided(c, choice)
		return unchanged, sub.both(ctx)
	case held != "":
	case choice == Source:
		out, err := replace[T, P](ctx, s, merged[T, P](s, from, there), there, sub)
		if err == nil {
			s.decided(c, choice)
		}
		return out, err
	case choice == Destination:
		if err := takeIn[T, P](ctx, s, from, there, sub); err != nil {
			return left, err
		}
		s.decided(c, choice)
		return unchanged, nil
	}
	return s.decided(c, Leave), nil
}

// relate tells how the source's state relates to the destination's.
func relate[T any, P pointer[T]](s *syncer, from, there core.Stored[T]) record.Relation {
	return P(&from.Value).Common().Relate(s.src.Workspace().ID, P(&there.Value).Common(), s.dst.Workspace().ID)
}

// moved gives the source's state as the destination is to have it.
func moved[T any, P pointer[T]](s *syncer, from core.Stored[T]) core.Stored[T] {
	P(&from.Value).Common().Move(s.src.Workspace().ID, s.dst.Workspace().ID)
	return from
}

// merged gives the source's state as a new one, which goes on from both: so the
// decision is known wherever it comes.
func merged[T any, P pointer[T]](s *syncer, from, there core.Stored[T]) core.Stored[T] {
	from = moved[T, P](s, from)
	meta := P(&from.Value).Common()
	meta.TakeIn(P(&there.Value).Common(), s.dst.Workspace().ID)
	meta.Touch(core.NewID(16), s.dst.Now())
	return from
}

// replace puts a state in the place of the destination's. A deletion waits until
// it is asked for.
func replace[T any, P pointer[T]](ctx context.Context, s *syncer, by, there core.Stored[T], sub subject[T]) (outcome, error) {
	if sub.removed != nil && sub.removed(&by.Value) && !sub.removed(&there.Value) {
		if !s.opts.Delete {
			s.kept(sub.ref.Kind, sub.ref.Name, s.src.Workspace().Name)
			return left, nil
		}
		return deleted, put[T, P](ctx, s, by, &there, sub, "delete")
	}
	return updated, put[T, P](ctx, s, by, &there, sub, "update")
}

// create makes the record in the destination. Errors: ErrExists.
func create[T any, P pointer[T]](ctx context.Context, s *syncer, from core.Stored[T], sub subject[T]) error {
	return put[T, P](ctx, s, moved[T, P](s, from), nil, sub, "create")
}

// put writes a state, over another one or as a new record.
func put[T any, P pointer[T]](ctx context.Context, s *syncer, rec core.Stored[T], there *core.Stored[T], sub subject[T], op string) error {
	var over *T
	var etag backend.ETag
	if there != nil {
		over, etag = &there.Value, there.ETag
	}
	if sub.needs != nil {
		if err := sub.needs(ctx, &rec.Value, over); err != nil {
			return err
		}
	}
	if s.opts.DryRun {
		return nil
	}
	if sub.localize != nil {
		sub.localize(&rec.Value, over)
	}
	write := func() error {
		_, err := core.Adopt[T, P](ctx, s.dst, sub.ref.Key, rec, etag)
		return err
	}
	if over != nil && sub.quiet != nil && sub.quiet(&rec.Value, over) {
		return write()
	}
	return s.dst.Audit(ctx, op, sub.ref, s.origin(), write)
}

// origin says for the audit log where a change comes from.
func (s *syncer) origin() string {
	return fmt.Sprintf("from workspace %s (%s)", s.src.Workspace().Name, s.src.Workspace().ID)
}

// takeIn notes in the destination's record that the source's state was looked at
// and lost.
func takeIn[T any, P pointer[T]](ctx context.Context, s *syncer, from, there core.Stored[T], sub subject[T]) error {
	if s.opts.DryRun || relate[T, P](s, from, there) == record.Strangers { // two things stay two things
		return nil
	}
	note := core.Updated("kept as it is, and not as in workspace " + s.src.Workspace().Name)
	_, err := core.Update[T, P](ctx, s.dst, sub.ref, note, func(rec *T) error {
		if P(rec).Common().Token != P(&there.Value).Common().Token {
			return fmt.Errorf("%w: it has changed meanwhile", azml.ErrConflict)
		}
		P(rec).Common().TakeIn(P(&from.Value).Common(), s.src.Workspace().ID)
		return nil
	})
	return err
}

// texts gives both states as JSON, without who wrote them when, the source's as the
// destination would have it.
func texts[T any, P pointer[T]](from, there core.Stored[T], sub subject[T]) (theirs, mine []byte, err error) {
	a, b := from.Value, there.Value
	if sub.localize != nil {
		sub.localize(&a, &b)
	}
	*P(&a).Common(), *P(&b).Common() = record.Meta{}, record.Meta{}
	theirs, err1 := json.Marshal(&a)
	mine, err2 := json.Marshal(&b)
	return theirs, mine, errors.Join(err1, err2)
}

func sideOf[T any, P pointer[T]](of core.Stored[T], detail func(*T) string) Side {
	meta := P(&of.Value).Common()
	side := Side{Created: meta.Created, CreatedBy: meta.CreatedBy, Modified: meta.Modified}
	if detail != nil {
		side.Detail = detail(&of.Value)
	}
	return side
}

// resolve asks what becomes of a conflict.
func (s *syncer) resolve(c Conflict) Choice {
	if s.opts.Resolve == nil {
		return Leave
	}
	return s.opts.Resolve(c)
}

// decided notes a conflict with what was decided, and gives the outcome of one
// that was left.
func (s *syncer) decided(c Conflict, choice Choice) outcome {
	c.Choice = choice
	s.note(func(r *Report) { r.Conflicts = append(r.Conflicts, c) })
	return left
}

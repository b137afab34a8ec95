package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// wave is how many runs are brought together: so many that their files fill packs,
// and so few that they are all there soon after.
const wave = 128

// head is what says when it is a run's turn.
type head struct {
	id, experiment string
	number         int
}

// carried is a run on its way.
type carried struct {
	id          string
	from        core.Stored[record.Run]
	there       *core.Stored[record.Run] // nil when the destination has none
	objects     *objects
	parts       *parts
	number      int
	environment string // its version in the destination
	held        bool   // something of it is left, and told of
	dropped     bool   // nothing more is done for it
	more        bool   // something was added to it
}

// allRuns brings runs by their experiments and numbers, so that numbers can be
// kept and parents come before their children.
func (s *syncer) allRuns(ctx context.Context, ids []string) error {
	var heads []head
	var mu sync.Mutex
	err := each(ctx, ids, func(ctx context.Context, id string) error {
		run, err := core.Get[record.Run](ctx, s.src, history.Ref(id).Key)
		switch {
		case errors.Is(err, azml.ErrNotFound): // what a creation or a deletion that was cut off has left
			return nil
		case damage(err):
			s.damaged("run", id, err)
			return nil
		case err != nil:
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		heads = append(heads, head{id, run.Value.Experiment, run.Value.Number})
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(heads, func(a, b head) int {
		return cmp.Or(cmp.Compare(a.experiment, b.experiment), cmp.Compare(a.number, b.number), cmp.Compare(a.id, b.id))
	})
	for part := range slices.Chunk(heads, wave) {
		if err := s.runWave(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// runWave brings some runs: what they need first, then what belongs to them, then
// their records.
func (s *syncer) runWave(ctx context.Context, heads []head) error {
	runs := make([]*carried, len(heads))
	for i, h := range heads {
		runs[i] = &carried{id: h.id}
	}
	if err := s.forRuns(ctx, runs, s.loadRun); err != nil {
		return err
	}
	var need []string
	for _, r := range runs {
		if !r.dropped {
			need = append(need, r.manifests()...)
		}
	}
	files, err := s.bringContents(ctx, need)
	if err != nil {
		return err
	}
	for _, r := range runs { // one after the other: numbers go by order
		if err := s.guarded(ctx, r, func() error { return errors.Join(files.check(r.manifests()), s.placeRun(ctx, r)) }); err != nil {
			return err
		}
	}
	if err := s.forRuns(ctx, runs, s.bringData); err != nil {
		return err
	}
	return s.runRecords(ctx, runs)
}

// forRuns does something for all runs that are not dropped.
func (s *syncer) forRuns(ctx context.Context, runs []*carried, do func(ctx context.Context, r *carried) error) error {
	return each(ctx, runs, func(ctx context.Context, r *carried) error {
		return s.guarded(ctx, r, func() error { return do(ctx, r) })
	})
}

// guarded does something for a run. What is wrong with that one run is listed and
// drops it.
func (s *syncer) guarded(ctx context.Context, r *carried, do func() error) error {
	if r.dropped {
		return nil
	}
	err := do()
	switch {
	case damage(err):
		s.damaged("run", r.id, err)
	case errors.Is(err, azml.ErrNotFound):
		err = s.vanished(ctx, r)
		r.dropped = true
		return err
	case errors.Is(err, errHeld):
	default:
		return err
	}
	r.dropped = true
	return nil
}

// vanished is for a run of which something is gone that was there just now: it is
// being deleted in the source. What was brought of it goes again, unless it is
// known in the destination.
func (s *syncer) vanished(ctx context.Context, r *carried) error {
	_, err := s.src.Objects().Stat(ctx, history.Ref(r.id).Key)
	if err == nil || r.there != nil || s.opts.DryRun {
		return nil // if it stays, the next sync meets it
	}
	if !errors.Is(err, azml.ErrNotFound) {
		return err
	}
	return s.discardRun(ctx, r)
}

// manifests lists the manifests that must be there before the run's record is.
func (r *carried) manifests() []string {
	ids := r.parts.need
	if id := r.from.Value.Snapshot; id != "" && r.there == nil {
		ids = append(slices.Clone(ids), id)
	}
	return ids
}

// loadRun reads the run on both sides. One whose process is gone is ended first,
// as whoever meets it does.
func (s *syncer) loadRun(ctx context.Context, r *carried) (err error) {
	ref := history.Ref(r.id)
	if r.from, err = core.Get[record.Run](ctx, s.src, ref.Key); errors.Is(err, azml.ErrNotFound) {
		r.dropped = true // deleted just now
		return nil
	}
	if err != nil {
		return err
	}
	if !s.opts.DryRun {
		now, err := agent.Reap(ctx, s.src, r.from)
		switch {
		case err == nil:
			r.from = now
		case !errors.Is(err, azml.ErrDenied) && !errors.Is(err, azml.ErrUnsupported): // a source that may only be read
			return err
		}
	}
	there, err := core.Get[record.Run](ctx, s.dst, ref.Key)
	if err != nil && !errors.Is(err, azml.ErrNotFound) {
		return err
	}
	if err == nil {
		if r.there = &there; relate(s, r.from, there) == record.Strangers {
			s.decided(Conflict{Kind: "run", Name: r.id, Reason: "another run has this ID in the destination: delete one of the two",
				Source: sideOf(r.from, runDetail), Destination: sideOf(there, runDetail)}, Leave)
			return errHeld
		}
	}
	if r.objects, err = s.runObjects(ctx, r); err != nil {
		return err
	}
	r.parts = &parts{kind: "files of run", owner: r.id, series: history.RunFiles(r.from.Value).Series(),
		there: r.objects.theirParts, here: r.objects.myParts}
	err = s.planParts(ctx, r.parts, r.there == nil)
	if errors.Is(err, errHeld) {
		r.held, err = true, nil
	}
	return err
}

func runDetail(r *record.Run) string { return string(r.Status) }

// placeRun sees to it that what the run's record refers to is there, and gives a
// new run its number.
func (s *syncer) placeRun(ctx context.Context, r *carried) error {
	run := &r.from.Value
	if d := run.Definition; d != nil {
		version, err := s.environment(ctx, d.Environment.Name, d.Environment.Version)
		if err != nil {
			return err
		}
		r.environment = version
	}
	if r.there != nil {
		r.number = r.there.Value.Number
		return nil
	}
	number, had, err := s.book(run.Experiment).take(ctx, run.Number, r.id)
	if err != nil {
		return err
	}
	if had {
		removed, err := s.wasDeleted(ctx, history.Ref(r.id).Key)
		if err != nil {
			return err
		}
		if removed {
			s.kept("run", r.id, s.dst.Workspace().Name)
			s.settle(runUnits + r.id)
			return errHeld
		}
	}
	if err := s.experiment(ctx, run.Experiment); err != nil {
		return err
	}
	if r.number = number; number != run.Number {
		s.renumbered("run", fmt.Sprintf("%s of %s", r.id, run.Experiment), strconv.Itoa(run.Number), strconv.Itoa(number))
	}
	return nil
}

// runRecords writes the runs' records, those of parents before those of children.
func (s *syncer) runRecords(ctx context.Context, runs []*carried) error {
	pending := map[string]bool{}
	for _, r := range runs {
		pending[r.id] = !r.dropped
	}
	for rest := runs; len(rest) > 0; {
		var now, later []*carried
		for _, r := range rest {
			if parent := r.from.Value.Parent; !r.dropped && pending[parent] && parent != r.id {
				later = append(later, r)
			} else {
				now = append(now, r)
			}
		}
		if len(now) == 0 { // parents that go round in a circle, which nobody can have made
			now, later = later, nil
		}
		if err := s.forRuns(ctx, now, s.runRecord); err != nil {
			return err
		}
		for _, r := range now {
			pending[r.id] = false
		}
		rest = later
	}
	return nil
}

// runRecord writes the run's record, when all that it says is there is there.
func (s *syncer) runRecord(ctx context.Context, r *carried) error {
	out, err := bring(ctx, s, r.from, s.runSubject(r))
	if err != nil {
		return err
	}
	if out == gone {
		return s.discardRun(ctx, r)
	}
	s.note(func(rep *Report) {
		if out == unchanged && r.more {
			out = updated
		}
		out.count(&rep.Runs)
	})
	if s.opts.DryRun {
		return nil
	}
	if r.from.Value.Status.Terminal() {
		if r.more && r.there != nil { // it was followed; what came as one comes sealed, or as its source has it
			history.Seal(ctx, s.dst, r.id)
		}
		if out.settled() && !r.held {
			s.settle(runUnits + r.id)
		}
	}
	return nil
}

// runSubject says how the run's record is brought over.
func (s *syncer) runSubject(r *carried) subject[record.Run] {
	return subject[record.Run]{
		ref:    history.Ref(r.id),
		detail: runDetail,
		localize: func(rec, there *record.Run) {
			rec.Number = r.number
			if there != nil {
				rec.Number = there.Number
			}
			if rec.Owner != nil {
				owner := *rec.Owner
				owner.Workspace = s.moved(owner.Workspace)
				rec.Owner = &owner
			}
			if rec.Definition != nil {
				definition := *rec.Definition
				definition.Environment.Version = r.environment
				rec.Definition = &definition
			}
			if k := rec.Kept; k != nil && k.FileParts > r.parts.count() { // some are held up by a conflict
				rec.Kept = &record.Kept{FileParts: r.parts.count(), Points: k.Points}
			}
		},
		removed: func(rec *record.Run) bool { return !rec.Deleted.IsZero() },
		holds: func(_, there *record.Run) string {
			if !there.Status.Terminal() && !there.Elsewhere() {
				return "it goes on in the destination, and its process alone says how"
			}
			return ""
		},
		quiet: func(rec, there *record.Run) bool {
			return !rec.Status.Terminal() && rec.Status != record.CancelRequested && !there.Status.Terminal() && equalLabels(rec.Tags, there.Tags)
		},
	}
}

// moved gives the workspace of a process as the destination sees it.
func (s *syncer) moved(workspace string) string {
	if workspace == "" {
		workspace = s.src.Workspace().ID
	}
	if workspace == s.dst.Workspace().ID {
		return ""
	}
	return workspace
}

func equalLabels(a, b map[string]string) bool { return len(a) == len(b) && core.HasLabels(a, b) }

// discardRun removes what the destination has of a run without a record.
func (s *syncer) discardRun(ctx context.Context, r *carried) error {
	keys, err := history.Keys(ctx, s.dst, r.from.Value)
	if err != nil {
		return err
	}
	for _, key := range slices.Backward(keys) { // what is numbered goes from the end
		if err := s.dst.Objects().Delete(ctx, key, &backend.DeleteOptions{}); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return err
		}
	}
	return nil
}

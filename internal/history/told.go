package history

import (
	"context"
	"slices"
	"time"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// Told is what a client says of a run that no process of azml answers for.
type Told struct {
	// Status is the run's status, empty when nothing is said of it.
	Status record.Status
	// Ended is when the run ended, zero for now; it counts with a last status.
	Ended time.Time
	// Points is how many points the writers of metrics have stored that the
	// caller has closed, by their IDs; it counts with a last status.
	Points map[string]uint64
	// Change, when not nil, changes more of the record in the same write.
	Change func(*record.Run) error
}

// Tell sets what a client says of a run. Unlike Transition it lets a run wait
// again, and an ended one go on, or end otherwise: the client alone knows how its
// run goes. Of a run that a process of azml answers for, the status is not the
// client's to tell and stays as it is. Errors: ErrNotFound; those of Change.
func Tell(ctx context.Context, h core.Handle, id string, told Told) (core.Stored[record.Run], error) {
	note := core.Quiet
	if told.Status.Terminal() {
		note = core.Updated("status " + string(told.Status))
	}
	return Update(ctx, h, id, note, func(r *record.Run) error {
		if told.Change != nil {
			if err := told.Change(r); err != nil {
				return err
			}
		}
		if told.Status == "" || r.Owner != nil && !r.Status.Terminal() {
			return nil
		}
		if told.Status.Terminal() {
			r.Kept = Kept(h, *r, nil, told.Points)
		}
		told.apply(r, h.Now())
		return nil
	})
}

// apply sets the status.
func (t Told) apply(r *record.Run, now time.Time) {
	if r.Status != t.Status {
		r.Status, r.Reason, r.WaitsFor, r.Since = t.Status, "told by a client", "", now
		r.History = append(slices.Clip(r.History), record.Transition{Status: t.Status, Time: now, Reason: r.Reason})
		r.Ended, r.Error, r.Owner = time.Time{}, nil, nil
		if r.Started.IsZero() {
			r.Started = now
		}
	}
	if t.Status.Terminal() && (r.Ended.IsZero() || !t.Ended.IsZero()) {
		if r.Ended = t.Ended; r.Ended.IsZero() {
			r.Ended = now
		}
	}
}

// Expungeable tells whether a run can be removed for good: it was deleted before
// that time, and no process answers for it.
func Expungeable(r record.Run, before time.Time) bool {
	return !r.Deleted.IsZero() && r.Deleted.Before(before) && (r.Status.Terminal() || r.Owner == nil)
}

// Expunge marks a run that is Expungeable as one that can't be restored any
// more, so that it can be removed. One that goes on, as far as the client has
// told, is Canceled then. Others stay as they are. Errors: ErrNotFound.
func Expunge(ctx context.Context, h core.Handle, id string, before time.Time) (core.Stored[record.Run], error) {
	return Update(ctx, h, id, core.Updated("expunged"), func(r *record.Run) error {
		if !r.Expunged.IsZero() || !Expungeable(*r, before) {
			return core.ErrNoChange
		}
		if r.Expunged = h.Now(); r.Status.Terminal() {
			return nil
		}
		Told{Status: record.Canceled}.apply(r, h.Now())
		return nil
	})
}

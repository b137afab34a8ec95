package history

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/azml-go/azml"
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

// Tell sets what a client says of a run. Unlike Transition it lets an ended run
// go on, or end otherwise: the client alone knows how its run goes. Of a run
// that a process of azml answers for, the status is not the client's to tell
// and stays as it is. Errors: ErrConflict for a step that can't be, such as
// back to a status before Running; ErrNotFound; those of Change.
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
		return told.apply(r, h.Now())
	})
}

// apply sets the status.
func (t Told) apply(r *record.Run, now time.Time) error {
	if r.Status != t.Status {
		if !r.Status.Terminal() && !r.Status.CanBecome(t.Status) || r.Status.Terminal() && t.Status != record.Running && !t.Status.Terminal() {
			return fmt.Errorf("%w: the run is %s, it can't become %s", azml.ErrConflict, r.Status, t.Status)
		}
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
	return nil
}

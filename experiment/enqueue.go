package experiment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// enqueue puts a run into its cluster's queue. The entry comes first: one without
// a run is given up by schedulers after a while, a run without one would wait for ever.
func (e *Experiment) enqueue(ctx context.Context, draft record.Run) (core.Stored[record.Run], error) {
	var none core.Stored[record.Run]
	d := draft.Definition
	key := compute.EntryRef(d.Compute, draft.ID).Key
	entry := record.QueuedRun{RunID: draft.ID, Experiment: draft.Experiment, Nodes: max(d.Nodes, 1), Priority: d.Priority}
	kept, err := core.CreateQuiet(ctx, e.h, key, entry)
	if err != nil {
		return none, fmt.Errorf("queue the run: %w", err)
	}
	stored, err := history.Create(ctx, e.h, draft)
	if err != nil {
		if !errors.Is(err, azml.ErrUnavailable) { // else it may be there
			err = errors.Join(err, e.h.Objects().Delete(ctx, key, &backend.DeleteOptions{IfMatch: kept.ETag}))
		}
		return stored, err
	}
	looking, stop := context.WithTimeout(context.WithoutCancel(ctx), lookTime) // the run is there, whoever stops waiting for it
	defer stop()
	if err = e.queued(looking, stored, entry); err != nil && !errors.Is(err, azml.ErrNotFound) {
		err = fmt.Errorf("the run %s is queued, but whether its cluster still takes it could not be seen: %w", draft.ID, err)
	}
	return stored, err
}

// lookTime bounds the looks after a queued run.
const lookTime = 30 * time.Second

// queued looks, now that the run is there, whether the cluster still is, and the entry:
// who takes them away looks for the run afterwards. A run whose cluster is gone is
// removed.
func (e *Experiment) queued(ctx context.Context, stored core.Stored[record.Run], entry record.QueuedRun) error {
	cluster := stored.Value.Definition.Compute
	key := compute.EntryRef(cluster, entry.RunID).Key
	gone := compute.CheckQueue(ctx, e.h, cluster)
	if errors.Is(gone, azml.ErrNotFound) {
		err := core.Delete(ctx, e.h, history.Ref(entry.RunID), stored.ETag)
		if errors.Is(err, azml.ErrConflict) {
			return nil // it has nodes already, so the cluster stays
		}
		if err == nil {
			err = e.h.Objects().Delete(ctx, key, &backend.DeleteOptions{})
		}
		if err != nil && !errors.Is(err, azml.ErrNotFound) {
			return errors.Join(gone, err)
		}
		return gone
	}
	if gone != nil {
		return gone
	}
	_, err := e.h.Objects().Stat(ctx, key)
	if errors.Is(err, azml.ErrNotFound) { // given up, or the run has ended already
		err = e.queueAgain(ctx, key, entry)
	}
	return err
}

// queueAgain gives a run that still waits its entry back.
func (e *Experiment) queueAgain(ctx context.Context, key string, entry record.QueuedRun) error {
	r, err := history.Get(ctx, e.h, entry.RunID)
	if err != nil || r.Value.Status.Terminal() {
		return err
	}
	if _, err = core.CreateQuiet(ctx, e.h, key, entry); errors.Is(err, azml.ErrExists) {
		return nil
	}
	return err
}

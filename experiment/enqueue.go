package experiment

import (
	"context"
	"errors"
	"fmt"

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
	entry := compute.EntryRef(d.Compute, draft.ID)
	kept, err := core.CreateQuiet(ctx, e.h, entry.Key, record.QueuedRun{RunID: draft.ID, Experiment: draft.Experiment, Nodes: max(d.Nodes, 1), Priority: d.Priority})
	if err != nil {
		return none, fmt.Errorf("queue the run: %w", err)
	}
	stored, err := history.Create(ctx, e.h, draft)
	if err != nil && !errors.Is(err, azml.ErrUnavailable) { // else it may be there
		err = errors.Join(err, e.h.Objects().Delete(ctx, entry.Key, &backend.DeleteOptions{IfMatch: kept.ETag}))
	}
	return stored, err
}

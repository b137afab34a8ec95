package workspace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/token"
)

// DefaultRetain is GCOptions.Retain when it is zero.
const DefaultRetain = 30 * 24 * time.Hour

// forget removes for good what has been deleted for so long that nobody wants it
// back. It tells how much that is of what can be counted.
func (w *Workspace) forget(ctx context.Context, opts *GCOptions) (runs, tokens int, err error) {
	retain := opts.Retain
	if retain == 0 {
		retain = DefaultRetain
	}
	before := w.h.Now().Add(-retain)
	if runs, err = w.forgetRuns(ctx, before, opts.DryRun); err != nil {
		return runs, 0, err
	}
	tokens, err = token.Sweep(ctx, w.h, before, opts.DryRun)
	if err != nil || opts.DryRun {
		return runs, tokens, err
	}
	return runs, tokens, errors.Join(history.SweepUploads(ctx, w.h), history.SweepLoggedModels(ctx, w.h, w.graceEnd(opts)))
}

// forgetRuns removes the runs that MLflow clients have deleted before that time.
func (w *Workspace) forgetRuns(ctx context.Context, before time.Time, dryRun bool) (n int, err error) {
	var ids []string
	for r, err := range w.Runs().Search(ctx, fmt.Sprintf("delete_time < %d", before.UnixMilli()), &run.SearchOptions{Deleted: true}) {
		if err != nil {
			return 0, err
		}
		ids = append(ids, r.ID())
	}
	for _, id := range slices.Backward(ids) { // the oldest first
		gone, err := w.forgetRun(ctx, id, before, dryRun)
		if err != nil {
			return n, err
		}
		if gone {
			n++
		}
	}
	return n, nil
}

// forgetRun marks a run as one that can't be restored, before it takes anything
// from it: who restores it meanwhile is either told so, or keeps all of it.
func (w *Workspace) forgetRun(ctx context.Context, id string, before time.Time, dryRun bool) (gone bool, err error) {
	if dryRun {
		stored, err := history.Get(ctx, w.h, id)
		return err == nil && history.Expungeable(stored.Value, before), err
	}
	stored, err := history.Expunge(ctx, w.h, id, before)
	if err == nil && stored.Value.Expunged.IsZero() {
		return false, nil
	}
	if err == nil {
		err = w.Runs().Delete(ctx, id, nil)
	}
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrConflict) { // another collector is at it
		return false, nil
	}
	return err == nil, err
}

package scheduler

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scheduler"
)

// told is what a run's record says that it waits for, since when.
type told struct {
	text string
	at   time.Time
}

// Runs whose turn comes next are told why they wait, when that takes a moment: a write for
// each run of a long queue, whenever something changes, would be too many.
const (
	toldAfter = 5 * time.Second
	toldAgain = 30 * time.Second
	mostTold  = 16
)

// tell has the runs' records say what they wait for, where somebody who looks at a run
// finds it.
func (c *cluster) tell(ctx context.Context, target record.Compute, s record.ClusterState) {
	now, _ := c.now()
	in := compute.SchedulerInput(target, s, now)
	in.Queue = c.waiting(&s)
	slices.SortFunc(in.Queue, scheduler.Older)
	known, news := map[string]told{}, map[string]string{}
	for _, r := range in.Queue[:min(mostTold, len(in.Queue))] {
		before, is := c.told[r.ID]
		text := "nodes of " + c.name + ": " + scheduler.Why(in, r)
		switch {
		case is && (before.text == text || now.Sub(before.at) < toldAgain):
			known[r.ID] = before
		case now.Sub(r.Queued) >= toldAfter:
			known[r.ID], news[r.ID] = told{text, now}, text
		}
	}
	c.told = known
	if len(news) > 0 {
		c.task("what runs wait for", func() { c.noteWaits(ctx, news) })
	}
}

// noteWaits notes what runs wait for that have no nodes yet.
func (c *cluster) noteWaits(ctx context.Context, news map[string]string) {
	for id, text := range news {
		_, err := history.Update(ctx, c.h, id, core.Quiet, func(r *record.Run) error {
			if r.Status != record.Queued || r.Agent != nil || r.WaitsFor == text {
				return core.ErrNoChange
			}
			r.WaitsFor = text
			return nil
		})
		if err != nil && ctx.Err() == nil && !errors.Is(err, azml.ErrNotFound) {
			c.h.Logger().Warn("what a run waits for could not be noted", "run", id, "error", err)
		}
	}
}

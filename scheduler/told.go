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

// The runs whose turn comes next are told why they wait, when that takes a moment: a write
// for each run of a long queue, whenever something changes, would be too many, and so would
// be putting such a queue in order at each step.
const (
	toldAfter = 5 * time.Second
	toldAgain = 30 * time.Second
	mostTold  = 16
	tellEvery = 2 * time.Second
)

// tell has the runs' records say what they wait for, where somebody who looks at a run
// finds it.
func (c *cluster) tell(ctx context.Context, target record.Compute, s record.ClusterState) {
	if time.Since(c.tellingAt) < tellEvery {
		return
	}
	c.tellingAt = time.Now()
	now, _ := c.now()
	in := compute.SchedulerInput(target, s, now)
	in.Queue = c.waiting(&s)
	slices.SortFunc(in.Queue, scheduler.Older)
	told, news := map[string]time.Time{}, map[string]string{}
	for _, r := range in.Queue[:min(mostTold, len(in.Queue))] {
		at, is := c.told[r.ID]
		switch {
		case is && now.Sub(at) < toldAgain:
			told[r.ID] = at
		case now.Sub(r.Queued) >= toldAfter:
			told[r.ID], news[r.ID] = now, "nodes of "+c.name+": "+scheduler.Why(in, r)
		}
	}
	c.told = told
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

package scheduler

import (
	"cmp"
	"container/heap"
	"strings"
	"time"
)

// queue is the runs of a flow, the oldest first.
type queue struct {
	Flow
	runs   []*Run
	served time.Time
}

func (q *queue) init()       { heap.Init((*byAge)(&q.runs)) }
func (q *queue) first() *Run { return q.runs[0] }
func (q *queue) pop()        { heap.Pop((*byAge)(&q.runs)) }

// waitsSince is since when the flow got nothing.
func (q *queue) waitsSince() time.Time {
	if since := q.first().Queued; q.served.Before(since) {
		return since
	}
	return q.served
}

func (q *queue) starves(now time.Time) bool { return now.Sub(q.waitsSince()) > starvesAfter }

// Older is the order within a flow, as slices.SortFunc wants it. Stores may count in
// whole seconds, and times of several submitters may be equal.
func Older(a, b Run) int {
	return cmp.Or(a.Queued.Compare(b.Queued), a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
}

func older(a, b *Run) bool { return Older(*a, *b) < 0 }

// byAge is a heap of runs.
type byAge []*Run

func (h byAge) Len() int           { return len(h) }
func (h byAge) Less(i, j int) bool { return older(h[i], h[j]) }
func (h byAge) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *byAge) Push(x any) { *h = append(*h, x.(*Run)) }

// Pop implements heap.Interface.
func (h *byAge) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	*h = (*h)[:last]
	return r
}

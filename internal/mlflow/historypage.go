package mlflow

import (
	"bufio"
	"context"
	"slices"
	"strconv"
	"sync"

	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// historyPage is a page of a metric's history. It is written by hand, for it has
// tens of thousands of points.
type historyPage struct {
	key    string
	points []point
	next   string
}

// writeTo implements streamed.
func (h historyPage) writeTo(w *bufio.Writer) {
	_ = w.WriteByte('{') // errors come again with Flush
	begin := `"metrics":[{"key":` + string(quote(h.key)) + `,"value":`
	for i, p := range h.points {
		if i == 1 {
			begin = "," + begin[len(`"metrics":[`):]
		}
		b := append(w.AvailableBuffer(), begin...)
		b = appendDouble(b, p.value)
		b = append(b, `,"timestamp":`...)
		b = strconv.AppendInt(b, p.time, 10)
		b = append(b, `,"step":`...)
		b = append(strconv.AppendInt(b, p.step, 10), '}')
		_, _ = w.Write(b)
	}
	if len(h.points) > 0 {
		_ = w.WriteByte(']')
	}
	if h.next != "" {
		_, _ = w.WriteString(`,"next_page_token":` + string(quote(h.next)))
	}
	_ = w.WriteByte('}')
}

// halfRead keeps the histories of which clients have read some pages, so that
// not all of a history is read again for each of its pages.
type halfRead struct {
	mu   sync.Mutex
	kept []keptHistory // the one that was used last at the end
}

// keptHistory is a metric's history as long as the run's writers have what state
// says.
type keptHistory struct {
	run, key, state string // run is ID and life
	points          []point
}

// maxHalfRead bounds the points that are kept, of all histories together: 24 MB.
// A history counts as leastHalfRead at least.
const (
	maxHalfRead   = 1_000_000
	leastHalfRead = 10_000
)

// paged is history for a client that reads it in pages. more tells whether there
// is a page after this one when there are n points.
func (c call) paged(ctx context.Context, r record.Run, key string, more func(n int) bool) ([]point, error) {
	log, err := history.Metrics(c.core, r)
	if err != nil {
		return nil, err
	}
	state, live, err := c.stateOf(ctx, r, log, "")
	if err != nil {
		return nil, err
	}
	id := r.ID + "." + r.Life
	kept := c.halfRead.take(id, key)
	if live || kept.state != state || kept.points == nil {
		kept = keptHistory{run: id, key: key, state: state}
		if kept.points, err = c.history(ctx, r, key); err != nil {
			return nil, err
		}
	}
	if !live && more(len(kept.points)) {
		c.halfRead.keep(kept)
	}
	return kept.points, nil
}

// take gives a history that is kept, and keeps it no longer.
func (r *halfRead) take(run, key string) keptHistory {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.kept, func(k keptHistory) bool { return k.run == run && k.key == key })
	if i < 0 {
		return keptHistory{}
	}
	found := r.kept[i]
	r.kept = slices.Delete(r.kept, i, i+1)
	return found
}

// keep keeps a history, and as many of the others as there is room for.
func (r *halfRead) keep(h keptHistory) {
	r.mu.Lock()
	defer r.mu.Unlock()
	room := maxHalfRead - h.size()
	if room < 0 {
		return
	}
	first := len(r.kept)
	for ; first > 0 && r.kept[first-1].size() <= room; first-- {
		room -= r.kept[first-1].size()
	}
	r.kept = append(slices.Delete(r.kept, 0, first), h)
}

func (k keptHistory) size() int {
	return max(len(k.points), leastHalfRead)
}

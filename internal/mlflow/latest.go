package mlflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// latestCache knows the latest metrics of runs, so that not all points of a run
// are read each time that a client asks for it.
type latestCache struct {
	mu   sync.Mutex
	runs map[string]known
}

// known are the latest metrics of all writers but our own, as long as these
// have what state says.
type known struct {
	state string
	last  lastPoints
}

// lastPoints are the latest points by their names: MLflow goes by step, then
// time, then value.
type lastPoints map[string]metric

// maxKnown bounds how many runs are kept in mind.
const maxKnown = 1024

func (l lastPoints) add(m metric) {
	if have, there := l[m.Key]; !there || compareLatest(have, m) <= 0 {
		l[m.Key] = m
	}
}

func compareLatest(a, b metric) int {
	return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Timestamp, b.Timestamp), cmp.Compare(a.Value, b.Value))
}

// list gives the points sorted by name.
func (l lastPoints) list() []metric {
	list := make([]metric, 0, len(l))
	for _, name := range slices.Sorted(maps.Keys(l)) {
		list = append(list, l[name])
	}
	return list
}

// latestMetrics gives the run's metrics by name, each as it was last. What this
// process logs to the run it knows; of the others, it lists what they have stored,
// and reads it only when that is not what it was. Others that log on this machine
// at the moment are read each time.
func (c call) latestMetrics(ctx context.Context, r record.Run) ([]metric, error) {
	log, err := history.Metrics(c.core, r)
	if err != nil {
		return nil, err
	}
	own, last := c.writers.latest(r)
	state, live, err := c.stateOf(ctx, r, log, own)
	if err != nil {
		return nil, err
	}
	rest, hit := c.latestKnown.get(r.ID, state)
	if !hit || live {
		rest = lastPoints{}
		if err := readLatest(ctx, log, own, rest); err != nil {
			return nil, err
		}
		c.latestKnown.put(r.ID, known{state, rest})
	}
	for _, m := range rest {
		last.add(m)
	}
	return last.list(), nil
}

// readLatest reads the points of all writers but one.
func readLatest(ctx context.Context, log *metrics.Log, but string, into lastPoints) error {
	return numbers(ctx, log, "", func(p metrics.Point, value float64) {
		if p.Writer != but {
			into.add(pointView(p, value))
		}
	})
}

// stateOf tells what all writers but one have, sealed or not, and whether one of
// them lives.
func (c call) stateOf(ctx context.Context, r record.Run, log *metrics.Log, but string) (state string, live bool, err error) {
	sealed, err := c.core.Objects().Stat(ctx, history.SealedKey(r))
	if err != nil && !errors.Is(err, azml.ErrNotFound) {
		return "", false, err
	}
	writers, err := log.Writers(ctx)
	if err != nil {
		return "", false, err
	}
	var b strings.Builder
	fmt.Fprintln(&b, sealed.ETag)
	for _, w := range writers {
		if w.ID != but {
			fmt.Fprintln(&b, w.ID, w.Segments, w.Bytes, w.SpoolFiles)
			live = live || w.Live
		}
	}
	return b.String(), live, nil
}

func (lc *latestCache) get(id, state string) (lastPoints, bool) {
	lc.mu.Lock()
	defer lc.mu.Unlock()
	k, ok := lc.runs[id]
	return k.last, ok && k.state == state
}

func (lc *latestCache) put(id string, k known) {
	lc.mu.Lock()
	defer lc.mu.Unlock()
	for old := range lc.runs {
		if len(lc.runs) < maxKnown {
			break
		}
		delete(lc.runs, old) // any will do
	}
	lc.runs[id] = k
}

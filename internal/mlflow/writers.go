package mlflow

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

const (
	// maxWriters bounds how many runs are held open for logging.
	maxWriters = 256
	// writerIdle is after how long a run that nothing is logged to is closed.
	writerIdle = time.Minute
	// runSeen is for how long a run that was active is taken to be so. Another
	// process may delete it meanwhile; what is logged then is not lost.
	runSeen = time.Second
	// closeTime bounds the closing of writers when the workspace is closed.
	closeTime = 30 * time.Second
)

// writers are the metric writers of the runs that clients log to at the
// moment: a client's request comes and goes, the writer stays.
type writers struct {
	h    core.Handle
	most int

	mu   sync.Mutex
	open map[logID]*logging
	done bool
}

// logID names a metric log: that of a run, or of a logged model.
type logID struct {
	id    string
	model bool
}

// metrics opens the log. It gives the life of a run.
func (l logID) metrics(ctx context.Context, h core.Handle) (_ *metrics.Log, life string, err error) {
	if l.model {
		log, err := history.ModelMetrics(h, l.id)
		return log, "", err
	}
	run, err := history.Get(ctx, h, l.id)
	if err != nil {
		return nil, "", err
	}
	log, err := history.Metrics(h, run.Value)
	return log, run.Value.Life, err
}

// logging is a log that is being logged to.
type logging struct {
	id logID

	mu     sync.RWMutex // held for reading while something is logged
	life   string       // of the run
	writer *metrics.Writer
	stop   func()
	closed bool

	used atomic.Int64 // when it was last used, in ns since 1970
	seen atomic.Int64 // when the run was last known to be active
	late atomic.Bool  // the run had ended then
	told atomic.Bool  // of a logged model: searches know that points are logged to it

	lasting sync.Mutex
	last    lastPoints // of what was logged here
}

func newWriters(h core.Handle) *writers {
	return &writers{h: h, most: maxWriters, open: map[logID]*logging{}}
}

// run stores what the writers of dead processes have left, closes writers that
// are idle, and all when ctx ends.
func (ws *writers) run(ctx context.Context) {
	if err := history.RecoverMetrics(ctx, ws.h); err != nil && ctx.Err() == nil {
		ws.h.Logger().WarnContext(ctx, "metrics that were left in spool files could not be stored yet", "error", err)
	}
	ticker := time.NewTicker(writerIdle / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			ws.closeAll()
			return
		case <-ticker.C:
			for _, l := range ws.idle(ws.h.Now().Add(-writerIdle), 0) {
				ws.retire(context.WithoutCancel(ctx), l)
			}
		}
	}
}

// get gives what logs to the log, opening it if needed.
func (ws *writers) get(ctx context.Context, id logID) (*logging, error) {
	ws.mu.Lock()
	if ws.done {
		ws.mu.Unlock()
		return nil, errStopped
	}
	l := ws.open[id]
	fresh := l == nil
	if fresh {
		l = &logging{id: id, last: lastPoints{}}
		l.mu.Lock()
		ws.open[id] = l
	}
	over := len(ws.open) - ws.most
	ws.mu.Unlock()
	if !fresh {
		return l, nil
	}
	err := l.begin(ctx, ws.h)
	l.mu.Unlock()
	if err != nil {
		ws.remove(l)
		return nil, err
	}
	if over > 0 {
		for _, old := range ws.idle(ws.h.Now(), over) {
			if old != l {
				ws.retire(context.WithoutCancel(ctx), old)
			}
		}
	}
	return l, nil
}

var errStopped = &failure{codeUnavailable, "The workspace is being closed"}

// begin opens the writer. The caller holds the lock.
func (l *logging) begin(ctx context.Context, h core.Handle) error {
	l.closed = true
	log, life, err := l.id.metrics(ctx, h)
	if err != nil {
		return err
	}
	if l.writer, err = log.NewWriter(); err != nil {
		return err
	}
	shippingCtx, cancel := context.WithCancel(context.Background())
	var shipping sync.WaitGroup
	shipping.Go(func() { l.writer.Run(shippingCtx) })
	l.stop = func() {
		cancel()
		shipping.Wait()
	}
	l.life, l.closed = life, false
	l.used.Store(h.Now().UnixNano())
	return nil
}

// log logs the points; when it returns, they survive the death of the process.
func (ws *writers) log(ctx context.Context, id logID, points []metricFields) error {
	for {
		l, err := ws.get(ctx, id)
		if err != nil {
			return err
		}
		ok, err := l.log(ctx, ws.h.Now(), points)
		if ok || err != nil {
			return err
		}
	}
}

// log gives false when the writer was closed meanwhile.
func (l *logging) log(ctx context.Context, now time.Time, points []metricFields) (bool, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return false, nil
	}
	l.used.Store(now.UnixNano())
	if err := l.append(points); err != nil || !l.late.Load() && (!l.id.model || l.told.Load()) {
		return true, err
	}
	// Who searches looks each time for what runs that go on have logged, and for
	// what is logged to a model from when its log has changed in the store.
	if err := l.writer.Flush(ctx); err != nil {
		return true, err
	}
	l.told.Store(true)
	return true, nil
}

func (l *logging) append(points []metricFields) error {
	l.lasting.Lock()
	defer l.lasting.Unlock()
	for _, p := range points {
		if err := l.writer.Log(p.Key, p.Value, p.Step, time.UnixMilli(p.Timestamp)); err != nil {
			return err
		}
		l.last.add(metric{Key: p.Key, Value: double(p.Value), Timestamp: p.Timestamp, Step: p.Step})
	}
	return nil
}

// latest gives the ID of the writer that is open for the run, empty for none,
// and the latest points that it has logged.
func (ws *writers) latest(r record.Run) (string, lastPoints) {
	ws.mu.Lock()
	l := ws.open[logID{id: r.ID}]
	ws.mu.Unlock()
	if l == nil {
		return "", lastPoints{}
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed || l.life != r.Life {
		return "", lastPoints{}
	}
	l.lasting.Lock()
	defer l.lasting.Unlock()
	return l.writer.ID(), maps.Clone(l.last)
}

// active tells whether the run, or the logged model, was seen active a moment ago, so that it need
// not be looked at again.
func (ws *writers) active(id logID) bool {
	ws.mu.Lock()
	l := ws.open[id]
	ws.mu.Unlock()
	return l != nil && ws.h.Now().UnixNano()-l.seen.Load() < int64(runSeen)
}

// ended tells whether the run had ended when it was last looked at.
func (ws *writers) ended(id string) bool {
	ws.mu.Lock()
	l := ws.open[logID{id: id}]
	ws.mu.Unlock()
	return l != nil && l.late.Load()
}

// saw notes that the run is active, and whether it has ended. life is that of a
// run: when it is another, the one that is logged to was deleted.
func (ws *writers) saw(ctx context.Context, id logID, life string, ended bool) error {
	l, err := ws.get(ctx, id)
	if err == nil && !l.lives(life) {
		ws.retire(ctx, l)
		l, err = ws.get(ctx, id)
	}
	if err != nil {
		return err
	}
	l.late.Store(ended)
	l.seen.Store(ws.h.Now().UnixNano())
	return nil
}

func (l *logging) lives(life string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.life == life
}

// forget makes sure that the run is looked at again before more is logged.
func (ws *writers) forget(id logID) {
	ws.mu.Lock()
	l := ws.open[id]
	ws.mu.Unlock()
	if l != nil {
		l.seen.Store(0)
	}
}

// flush makes durable what was logged to the run.
func (ws *writers) flush(ctx context.Context, id string) error {
	ws.mu.Lock()
	l := ws.open[logID{id: id}]
	ws.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.flush(ctx)
}

func (l *logging) flush(ctx context.Context) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return nil
	}
	return l.writer.Flush(ctx)
}

// finish makes durable what was logged, and closes the log's writer. It gives
// how many points the writer has stored. After an error it is still open.
func (ws *writers) finish(ctx context.Context, id logID) (map[string]uint64, error) {
	ws.mu.Lock()
	l := ws.open[id]
	ws.mu.Unlock()
	if l == nil {
		return nil, nil
	}
	err := l.flush(ctx)
	l.mu.RLock()
	writer := l.writer
	l.mu.RUnlock()
	if err == nil {
		err = ws.close(ctx, l)
	}
	if err != nil || writer == nil {
		return nil, err
	}
	return map[string]uint64{writer.ID(): writer.Stored()}, nil
}

// retire closes a writer that is in the way.
func (ws *writers) retire(ctx context.Context, l *logging) {
	if err := ws.close(ctx, l); err != nil {
		ws.h.Logger().WarnContext(ctx, "metrics stay in the spool until they are recovered", "of", l.id.id, "error", err)
	}
}

// close closes the writer. What could not be stored stays in spool files.
func (ws *writers) close(ctx context.Context, l *logging) error {
	ws.remove(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	l.stop()
	err := l.writer.Close(ctx)
	if errors.Is(err, azml.ErrClosed) {
		return nil
	}
	return err
}

func (ws *writers) remove(l *logging) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.open[l.id] == l {
		delete(ws.open, l.id)
	}
}

// idle gives the writers that were not used since; with most, no more than that
// many, those that were not used for longest.
func (ws *writers) idle(since time.Time, most int) []*logging {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var found []*logging
	for _, l := range ws.open {
		if l.used.Load() < since.UnixNano() {
			found = append(found, l)
		}
	}
	if most > 0 && len(found) > most {
		found = oldest(found, most)
	}
	return found
}

// closeAll closes all writers, for good.
func (ws *writers) closeAll() {
	ws.mu.Lock()
	ws.done = true
	ws.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	ws.settle(ctx)
}

// settle closes all writers. Who logs more opens them again.
func (ws *writers) settle(ctx context.Context) {
	var closing sync.WaitGroup
	for _, l := range ws.idle(ws.h.Now().Add(time.Hour), 0) {
		closing.Go(func() { ws.retire(ctx, l) })
	}
	closing.Wait()
}

// finishAll finishes all logs, for good, and tells done of each what finish
// gives. After an error it goes on where it was when it is called again.
func (ws *writers) finishAll(ctx context.Context, done func(logID, map[string]uint64)) error {
	ws.mu.Lock()
	ws.done = true
	ws.mu.Unlock()
	for _, l := range ws.idle(ws.h.Now().Add(time.Hour), 0) {
		points, err := ws.finish(ctx, l.id)
		if err != nil {
			return err
		}
		done(l.id, points)
	}
	return nil
}

// oldest gives the n that were not used for longest.
func oldest(list []*logging, n int) []*logging {
	slices.SortFunc(list, func(a, b *logging) int { return cmp.Compare(a.used.Load(), b.used.Load()) })
	return list[:n]
}

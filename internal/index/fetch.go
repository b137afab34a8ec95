package index

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// state is an item as it is, or was, indexed.
type state struct {
	n         int64  // of the item
	hidden    bool   // it is not to be found: it is deleted, or its record is damaged
	etag      string // of the record
	mark      string // of an ended run's metrics
	live      liveness
	record    []byte // as it is stored
	summaries []byte // see Summaries
	places    []byte // of a run that goes on, how far its metrics were read, as JSON
	values    filter.Row
}

// liveness says when an item is looked at though its objects are the same.
type liveness int

const (
	// never: its objects tell all that there is to know.
	never liveness = iota
	// always: its process may have ended, or the store may soon have what is only
	// on this machine.
	always
	// whenSpooled: while this machine has points of it in spool files.
	whenSpooled
)

// change is an item that may have changed.
type change struct {
	kind    *Kind
	key     string
	touched part
	old     *state // nil when it is not indexed
	other   bool   // old is another run, which had the ID before
	now     *state // nil when it is not in the store
}

// same tells whether nothing has changed.
func (ch *change) same() bool {
	a, b := ch.old, ch.now
	if a == nil || b == nil {
		return a == b
	}
	return a.etag == b.etag && a.mark == b.mark && a.live == b.live && a.hidden == b.hidden &&
		bytes.Equal(a.summaries, b.summaries) && bytes.Equal(a.places, b.places)
}

// fetch finds out what the item is now, and the values that it had.
func (u *updater) fetch(ctx context.Context, ch *change) error {
	if err := u.fetchNow(ctx, ch); err != nil || ch.same() || ch.old == nil || ch.old.hidden {
		return err
	}
	sums, err := decodeSummaries(ch.old.summaries)
	if err == nil {
		ch.old.values, err = ch.kind.read(ch.key, ch.old.record, sums)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errDecode, ch.key, err)
	}
	return nil
}

// fetchNow finds out what the item is now.
func (u *updater) fetchNow(ctx context.Context, ch *change) error {
	now, err := u.fetchRecord(ctx, ch)
	switch {
	case err != nil:
	case ch.kind == Runs:
		err = u.fetchRun(ctx, ch, now)
	case ch.kind == LoggedModels:
		err = u.fetchLogged(ctx, ch, now)
	default:
		now.values, err = ch.kind.read(ch.key, now.record, nil)
		now.hidden = now.values == nil
	}
	switch {
	case errors.Is(err, azml.ErrNotFound):
		return nil
	case errors.Is(err, azml.ErrDamaged), errors.Is(err, azml.ErrUnsupported), errors.Is(err, azml.ErrInvalid):
		u.h.Logger().Warn("a record can't be read and is not found by searches: azml workspace fsck tells more", "key", ch.key, "error", err)
		now.hidden, now.live, now.values = true, never, nil
	case err != nil && !errors.Is(err, errDecode):
		return fmt.Errorf("%w: %w", errStore, err)
	case err != nil:
		return err
	}
	ch.now = now
	return nil
}

// fetchRecord reads the record, unless it is known to be the same.
func (u *updater) fetchRecord(ctx context.Context, ch *change) (*state, error) {
	if ch.old != nil && ch.touched&recordPart == 0 {
		return &state{n: ch.old.n, etag: ch.old.etag, record: ch.old.record}, nil
	}
	now := &state{}
	if ch.old != nil {
		now.n = ch.old.n
	}
	data, info, err := u.h.Read(ctx, ch.key)
	now.record, now.etag = data, string(info.ETag)
	return now, err
}

// fetchRun ends the run if its process is gone, and sums up its metrics.
func (u *updater) fetchRun(ctx context.Context, ch *change, now *state) error {
	stored, err := core.Restore[record.Run](ch.key, now.record, backend.ETag(now.etag))
	if err != nil {
		return err
	}
	if stored, err = agent.Reap(ctx, u.h, stored); err != nil {
		return err
	}
	now.record, now.etag = stored.Raw(), string(stored.ETag)
	if ch.other, err = ch.isOther(stored.Value); err != nil {
		return err
	}
	sums, err := u.sumUp(ctx, ch, now, stored.Value)
	now.values = runValues(stored.Value, sums)
	return err
}

// isOther tells whether the run has the ID of a deleted one that is indexed.
func (ch *change) isOther(run record.Run) (bool, error) {
	if ch.old == nil || ch.old.hidden {
		return false, nil
	}
	old, err := core.Restore[record.Run](ch.key, ch.old.record, "")
	if err != nil {
		return false, fmt.Errorf("%w: %s: %w", errDecode, ch.key, err)
	}
	return old.Value.Life != run.Life, nil
}

// sumUp sums up what was logged to the run up to now.
func (u *updater) sumUp(ctx context.Context, ch *change, now *state, run record.Run) (Summaries, error) {
	ended := run.Status.Terminal()
	if ended && ch.settled() && ch.touched&metricsPart == 0 {
		return ch.keep(now)
	}
	log, err := history.Metrics(u.h, run)
	if err != nil {
		return nil, err
	}
	if !ended {
		now.live = always
		if run.Owner == nil && run.MadeIn == "" { // no process answers for it
			now.live = whenSpooled
		}
		return u.growing(ctx, ch, now, log)
	}
	spooled, err := history.Spooled(u.h, run)
	if err != nil {
		return nil, err
	}
	if spooled {
		now.live = always
	}
	return u.ended(ctx, ch, now, log)
}

// settled tells whether the run had ended and its metrics were summed up.
func (ch *change) settled() bool {
	return ch.old != nil && !ch.other && ch.old.live == never && !ch.old.hidden
}

// keep takes over the summaries of a settled run.
func (ch *change) keep(now *state) (Summaries, error) {
	now.mark, now.summaries = ch.old.mark, ch.old.summaries
	sums, err := decodeSummaries(now.summaries)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errDecode, ch.key, err)
	}
	return sums, nil
}

// growing adds to the summaries of a live run what was logged since they were
// made.
func (u *updater) growing(ctx context.Context, ch *change, now *state, log *metrics.Log) (Summaries, error) {
	sums, places := Summaries{}, map[string]metrics.Place{}
	if ch.old != nil && !ch.other && ch.old.live != never && len(ch.old.places) > 0 {
		var err error
		if sums, err = decodeSummaries(ch.old.summaries); err == nil {
			err = json.Unmarshal(ch.old.places, &places)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", errDecode, ch.key, err)
		}
	}
	for p, err := range log.ReadOn(ctx, places) {
		if err != nil {
			return u.unreadable(ch, now, err)
		}
		sums.add(p)
	}
	data, err := json.Marshal(places)
	now.summaries, now.places = sums.encode(), data
	return sums, err
}

// ended sums up the metrics of an ended run or a logged model, once for each
// state they have.
func (u *updater) ended(ctx context.Context, ch *change, now *state, log *metrics.Log) (_ Summaries, err error) {
	if now.mark, err = u.metricsMark(ctx, ch.key); err != nil {
		return nil, err
	}
	switch {
	case now.live != never: // there is more than what is stored
	case ch.settled() && now.mark == ch.old.mark:
		return ch.keep(now)
	case now.mark == "":
		return nil, nil
	}
	all, err := log.Summary(ctx)
	if err != nil {
		return u.unreadable(ch, now, err)
	}
	sums := whole(all)
	now.summaries = sums.encode()
	return sums, nil
}

// metricsMark gives the mark of the item's metrics as they are stored. It is
// taken before they are read: what is stored in between is seen as a change.
func (u *updater) metricsMark(ctx context.Context, key string) (string, error) {
	if mark, listed := u.marks[key]; listed {
		return mark, nil
	}
	var marks hash.Hash
	for info, err := range u.h.Objects().List(ctx, &backend.ListOptions{Prefix: metricsPrefix(key)}) {
		if err != nil {
			return "", err
		}
		marks = addMark(marks, info)
	}
	return markOf(marks), nil
}

// The beginnings of the keys of metrics below the folder of an item. That of a
// run goes on with its life.
const (
	metricsFolder    = "metrics/"
	runMetricsFolder = "metrics-"
)

// metricsPrefix gives the prefix of the metrics of the item whose record has the
// key; also of what is left of runs that had its ID before, as in a listing.
func metricsPrefix(key string) string {
	if strings.HasPrefix(key, history.LoggedModelPrefix) {
		return history.ModelPrefix(loggedModelID(key)) + metricsFolder
	}
	return history.Prefix + runID(key) + "/" + runMetricsFolder
}

// unreadable leaves an item without metrics when these are damaged, and says so
// once.
func (u *updater) unreadable(ch *change, now *state, err error) (Summaries, error) {
	const mark = "damaged"
	if !errors.Is(err, azml.ErrDamaged) {
		return nil, err
	}
	if ch.old == nil || ch.old.mark != mark {
		u.h.Logger().Warn("metrics can't be read and are not found by searches", "of", ch.key, "error", err)
	}
	if now.live != never && now.mark == "" {
		now.mark = mark
	}
	now.summaries, now.places = nil, nil
	return nil, nil
}

package index

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
)

const (
	// compareEvery is how often all is compared although there is a feed.
	compareEvery = 24 * time.Hour
	// maxPassed is how many changes that don't matter are passed over again and
	// again before the cursor moves on.
	maxPassed = 256
)

// updater brings the index up to date.
type updater struct {
	x *Index
	h core.Handle
	c *conn

	marks   map[string]string // of metrics by key of the record, as the listing of this update has them
	settled int64             // how many items of which all is known were written
}

// update brings the index up to date. Where nothing has changed it takes no
// lock.
func (x *Index) update(ctx context.Context, all bool) error {
	db, err := x.database(ctx)
	if err != nil {
		return err
	}
	c, err := db.acquire(ctx)
	if err != nil {
		return err
	}
	defer db.release(c)
	defer c.interruptible(ctx)()
	u := &updater{x: x, h: x.h, c: c, marks: map[string]string{}}
	if w, err := u.look(ctx); err != nil || !all && w.idle() {
		return err
	}
	work := func() error {
		w, err := u.look(ctx) // another process may have done it meanwhile
		if err != nil {
			return err
		}
		w.all = w.all || all
		return u.apply(ctx, w)
	}
	if db.path == "" {
		return work()
	}
	return x.locked(ctx, work)
}

// work is what there is to be done.
type work struct {
	all     bool            // compare everything
	first   bool            // nothing was ever compared
	cursor  string          // how far the feed has been read once it is done
	passed  int             // changes that don't matter
	touched map[string]part // what may have changed, by key of the record
}

func (w *work) idle() bool { return !w.all && len(w.touched) == 0 && w.passed < maxPassed }

// livePart says that an item is looked at each time.
const livePart part = 1 << 8

// look finds out what there is to be done.
func (u *updater) look(ctx context.Context) (*work, error) {
	w := &work{touched: map[string]part{}}
	if err := u.live(w); err != nil { // first: points that leave the spool then are seen as a change of the store
		return nil, err
	}
	if err := u.changes(ctx, w); err != nil {
		return nil, err
	}
	compared, err := u.c.meta(metaCompared)
	if err != nil {
		return nil, err
	}
	at, err := strconv.ParseInt(compared, 10, 64)
	since := u.h.Now().Sub(time.Unix(0, at))
	w.first = compared == ""
	w.all = w.all || err != nil || since < 0 || since > compareEvery
	return w, nil
}

// changes asks the store's feed, if it has one.
func (u *updater) changes(ctx context.Context, w *work) (err error) {
	feed, ok := backend.As[backend.ChangeFeed](u.h.Objects())
	if !ok {
		w.all = true
		return nil
	}
	cursor, err := u.c.meta(metaCursor)
	if err != nil {
		return err
	}
	changes, err := feed.Changes(ctx, cursor, &backend.ChangesOptions{})
	if err != nil {
		return fmt.Errorf("%w: what changed: %w", errStore, err)
	}
	w.cursor, w.all = changes.Cursor, changes.Lost
	for _, key := range changes.Keys {
		if _, record, p := classify(key); p != noPart {
			w.touched[record] |= p
		} else {
			w.passed++
		}
	}
	return nil
}

// live finds what has to be looked at though its objects are the same: runs that
// a process answers for, and all of which this machine has points that are not
// in the store yet. Runs that nobody answers for may be thousands, and cost
// nothing here while nothing is logged to them.
func (u *updater) live(w *work) error {
	touch := func(s *sqlite3.Stmt) error { w.touched[s.ColumnText(0)] |= livePart; return nil }
	spooled, err := history.SpooledRuns(u.h)
	if err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	for _, run := range spooled {
		if err := u.c.rows(touch, `SELECT key FROM item WHERE key = ? AND live = 2`, history.Ref(run.ID).Key); err != nil {
			return err
		}
	}
	return u.c.rows(touch, `SELECT key FROM item WHERE live = 1`)
}

package index

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/ncruces/go-sqlite3"
)

const (
	// batchSize is how many items are read, and written in a transaction, at once.
	batchSize = 500
	// parallel is how many items are read from the store at once: a slow one
	// answers many requests as fast as one.
	parallel = 32
)

// apply does the work. What is done is kept when it ends before all is; the
// cursor moves on at the end only.
func (u *updater) apply(ctx context.Context, w *work) error {
	if w.first {
		if err := u.borrow(ctx); err != nil {
			return err
		}
	}
	if w.all {
		for _, k := range kinds() {
			if k.within {
				continue
			}
			if err := u.compare(ctx, k, func(key string, p part) { w.touched[key] |= p }); err != nil {
				return err
			}
		}
	}
	for keys := range slices.Chunk(slices.Sorted(maps.Keys(w.touched)), batchSize) {
		changes, err := u.known(keys, w)
		if err == nil {
			err = each(ctx, changes, u.fetch)
		}
		if err == nil {
			err = u.write(changes)
		}
		if err != nil {
			return err
		}
	}
	if err := u.finish(w); err != nil {
		return err
	}
	return u.lend(ctx)
}

// known makes the changes, with what the index knows of the items.
func (u *updater) known(keys []string, w *work) ([]*change, error) {
	var out []*change
	for _, key := range keys {
		k, _, _ := classify(key)
		ch := &change{kind: k, key: key, touched: w.touched[key]}
		err := u.c.rows(func(s *sqlite3.Stmt) error {
			ch.old = &state{n: s.ColumnInt64(0), hidden: s.ColumnInt(1) < 0, etag: s.ColumnText(2), mark: s.ColumnText(3), live: liveness(s.ColumnInt(4)),
				record: s.ColumnBlob(5, nil), summaries: s.ColumnBlob(6, nil), places: s.ColumnBlob(7, nil)}
			return nil
		}, `SELECT n, kind, etag, mark, live, record, summaries, places FROM item JOIN doc ON item = n WHERE key = ?`, key)
		if err != nil {
			return nil, err
		}
		out = append(out, ch)
	}
	return out, nil
}

// each calls do for all changes, several at once, and gives the first error.
func each(ctx context.Context, changes []*change, do func(context.Context, *change) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	next := make(chan *change)
	for range min(parallel, len(changes)) {
		running.Go(func() {
			for ch := range next {
				if err := do(ctx, ch); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, ch := range changes {
		if ctx.Err() != nil {
			break
		}
		next <- ch
	}
	close(next)
	running.Wait()
	return context.Cause(ctx)
}

// write writes what has changed in one transaction.
func (u *updater) write(changes []*change) error {
	changes = slices.DeleteFunc(changes, (*change).same)
	if len(changes) == 0 {
		return nil
	}
	return u.c.within(func() error {
		for _, ch := range changes {
			if err := u.c.put(ch); err != nil {
				return err
			}
			if ch.now != nil && ch.now.live == never {
				u.settled++
			}
		}
		return nil
	})
}

// finish notes how far the index is up to date.
func (u *updater) finish(w *work) error {
	cursor, err := u.c.meta(metaCursor)
	if err != nil || !w.all && cursor == w.cursor {
		return err
	}
	unshared, err := u.unshared()
	if err != nil {
		return err
	}
	return u.c.within(func() error {
		err := errors.Join(u.c.setMeta(metaCursor, w.cursor), u.c.setMeta(metaUnshared, strconv.FormatInt(unshared+u.settled, 10)))
		if w.all {
			err = errors.Join(err, u.c.setMeta(metaCompared, strconv.FormatInt(u.h.Now().UnixNano(), 10)))
		}
		return err
	})
}

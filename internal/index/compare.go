package index

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"iter"

	"github.com/ncruces/go-sqlite3"

	"github.com/azml-go/azml/backend"
)

// compare finds what differs between the store's listing and the index, both of
// which are read in order of their keys.
func (u *updater) compare(ctx context.Context, k *Kind, touch func(key string, p part)) error {
	next, stop := iter.Pull2(u.items(k))
	defer stop()
	have, err, more := next()
	for there, listErr := range u.listing(ctx, k) {
		if listErr != nil {
			return fmt.Errorf("%w: list %s: %w", errStore, k.prefix, listErr)
		}
		for ; more && err == nil && have.key < there.key; have, err, more = next() {
			touch(have.key, recordPart) // deleted
		}
		if err != nil {
			return err
		}
		known := more && have.key == there.key
		u.marks[there.key] = there.mark
		switch {
		case !known || have.etag != there.etag:
			touch(there.key, recordPart|metricsPart)
		case have.mark != there.mark:
			touch(there.key, metricsPart)
		}
		if known {
			have, err, more = next()
		}
	}
	for ; more && err == nil; have, err, more = next() {
		touch(have.key, recordPart)
	}
	return err
}

// listed is an item by what marks its states.
type listed struct{ key, etag, mark string }

// items yields what is indexed of the kind, a few at a time so that no
// transaction stays open.
func (u *updater) items(k *Kind) iter.Seq2[listed, error] {
	const atOnce = 2000
	return func(yield func(listed, error) bool) {
		after := k.prefix
		for {
			var some []listed
			err := u.c.rows(func(s *sqlite3.Stmt) error {
				some = append(some, listed{s.ColumnText(0), s.ColumnText(1), s.ColumnText(2)})
				return nil
			}, `SELECT key, etag, mark FROM item WHERE key > ? AND key < ? ORDER BY key LIMIT ?`, after, k.prefix+"\xff", atOnce)
			if err != nil {
				yield(listed{}, err)
				return
			}
			for _, l := range some {
				if !yield(l, nil) {
					return
				}
			}
			if len(some) < atOnce {
				return
			}
			after = some[len(some)-1].key
		}
	}
}

// listing yields what is stored of the kind. All objects of an item come one
// after the other, and items in the order of their records' keys.
func (u *updater) listing(ctx context.Context, k *Kind) iter.Seq2[listed, error] {
	return func(yield func(listed, error) bool) {
		opts := &backend.ListOptions{Prefix: k.prefix}
		if k.flat {
			opts.Delimiter = "/"
		}
		var last listed
		var marks hash.Hash
		give := func() bool { // what has no record is no item
			if last.etag == "" {
				return true
			}
			last.mark = markOf(marks)
			return yield(last, nil)
		}
		for info, err := range u.h.Objects().List(ctx, opts) {
			if err != nil {
				yield(listed{}, err)
				return
			}
			_, key, p := classify(info.Key)
			if p == noPart {
				continue
			}
			if key != last.key {
				if !give() {
					return
				}
				last, marks = listed{key: key}, nil
			}
			if p == recordPart {
				last.etag = string(info.ETag)
			} else {
				marks = addMark(marks, info)
			}
		}
		give()
	}
}

// addMark takes a metric segment into the mark of a run's metrics.
func addMark(h hash.Hash, info backend.Info) hash.Hash {
	if h == nil {
		h = sha256.New()
	}
	fmt.Fprintf(h, "%q %q\n", info.Key, info.ETag)
	return h
}

// markOf gives the mark of the metrics' state, empty when there are none.
func markOf(h hash.Hash) string {
	if h == nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

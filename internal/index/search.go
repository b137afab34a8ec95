package index

import (
	"context"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/filter"
)

// Query says what to search.
type Query struct {
	// Kind is the kind of things wanted.
	Kind *Kind
	// Filter keeps what it is true of; nil keeps everything.
	Filter filter.Expr
	// Order is how they are ordered; what is equal there goes by ID.
	Order []filter.Order
	// Token is where the page begins: empty, or the Next of the page before.
	Token string
	// Size is the greatest number of hits in the page, at least 1.
	Size int
	// Known, when not nil, tells whether the caller knows what is found by its
	// state. Then the hit has nothing but that. It is called in the search's
	// transaction, and may be called again for the same item.
	Known func(State) bool
	// Stale searches the index as it is, without bringing it up to date.
	Stale bool
}

// Page is a part of what was found.
type Page struct {
	// Hits are what was found, in the query's order.
	Hits []Hit
	// Next is the token of the next page, empty when there is none.
	Next string
}

// State marks a state of an item: a random number, another one after each change
// of its record or metrics, in every index. So what was made of a hit can be kept
// by it.
type State int64

// Hit is something found.
type Hit struct {
	// State marks the state of which the rest is.
	State State
	// ID is its ID.
	ID string
	// Key is the key of its record.
	Key string
	// ETag and Record are the record as it is stored.
	ETag backend.ETag
	// Record is the record's bytes.
	Record []byte
	// Metrics are the summaries of a run's metrics.
	Metrics Summaries
}

// Search gives a page of what the query finds, as things were when it was
// called or later. What did not change between two pages is in exactly one
// of them. Errors: ErrInvalid for a token that is none of this query; those of
// the store.
func (x *Index) Search(ctx context.Context, q Query) (*Page, error) {
	if q.Size < 1 {
		return nil, fmt.Errorf("%w: page size %d: use 1 or more", azml.ErrInvalid, q.Size)
	}
	after, err := q.position()
	if err != nil {
		return nil, err
	}
	if !q.Stale {
		if err := x.Refresh(ctx, false); err != nil {
			return nil, err
		}
	}
	var page *Page
	err = x.healing(ctx, func(ctx context.Context) (err error) {
		page, err = x.page(ctx, q, after)
		return err
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// page searches one page. A database that was just begun is filled first.
func (x *Index) page(ctx context.Context, q Query, after *position) (*Page, error) {
	db, err := x.database(ctx)
	if err != nil {
		return nil, err
	}
	c, err := db.acquire(ctx)
	if err != nil {
		return nil, err
	}
	filled, err := c.meta(metaCompared)
	if err == nil && filled == "" {
		db.release(c)
		if err := x.update(ctx, true); err != nil {
			return nil, err
		}
		return x.page(ctx, q, after)
	}
	defer db.release(c)
	defer c.interruptible(ctx)()
	if err != nil {
		return nil, err
	}
	return c.page(q, after)
}

// page searches one page, at one moment.
func (c *conn) page(q Query, after *position) (_ *Page, err error) {
	tx := c.Begin()
	defer tx.End(&err)
	s := search{conn: c, kind: q.Kind}
	wanted, err := s.spread(q.Filter)
	if err != nil {
		return nil, err
	}
	found, err := s.find(wanted, q.Order, after, q.Size+1)
	if err != nil {
		return nil, err
	}
	page := &Page{}
	if len(found) > q.Size {
		found = found[:q.Size]
		if page.Next, err = q.token(c, found[q.Size-1]); err != nil {
			return nil, err
		}
	}
	for _, m := range found {
		hit := Hit{State: m.state}
		if q.Known == nil || !q.Known(m.state) {
			if hit, err = c.hit(m); err != nil {
				return nil, err
			}
		}
		page.Hits = append(page.Hits, hit)
	}
	return page, nil
}

// maxSpread bounds what comparisons of datasets, and their values, become: SQLite
// takes three times as many.
const maxSpread = 10_000

// spread makes comparisons of datasets ones of each of as many datasets as any
// item has.
func (s *search) spread(e filter.Expr) (filter.Expr, error) {
	asked := filter.Spreads(e)
	if asked == 0 {
		return e, nil
	}
	most := 0
	err := s.rows(func(r *sqlite3.Stmt) error { most = r.ColumnInt(0); return nil },
		`SELECT count(*) FROM field WHERE kind = ? AND entity = ? AND name LIKE 'name%'`, s.kind.number, string(filter.Dataset))
	if err == nil && asked*most > maxSpread {
		err = fmt.Errorf("%w: there are runs with %d datasets: compare datasets less often in a filter, or with fewer values", azml.ErrInvalid, most)
	}
	return filter.Spread(e, most), err
}

// hit reads what was found.
func (c *conn) hit(m match) (hit Hit, err error) {
	var sums []byte
	there := false
	err = c.rows(func(s *sqlite3.Stmt) error {
		hit = Hit{State: m.state, ID: s.ColumnText(0), Key: s.ColumnText(1), ETag: backend.ETag(s.ColumnText(2)), Record: s.ColumnBlob(3, nil)}
		sums, there = s.ColumnBlob(4, nil), true
		return nil
	}, `SELECT id, key, etag, record, summaries FROM item JOIN doc ON item = n WHERE n = ?`, m.item)
	if err == nil {
		hit.Metrics, err = decodeSummaries(sums)
	}
	if err == nil && !there {
		err = errDecode
	}
	if err != nil {
		return Hit{}, fmt.Errorf("%w: item %d: %w", errDecode, m.item, err)
	}
	return hit, nil
}

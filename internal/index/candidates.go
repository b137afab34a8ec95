package index

import (
	"fmt"
	"math"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/azml-go/azml/internal/filter"
)

// candidates are the items that may match a filter, as one look into an index
// of values gives them.
type candidates struct {
	items *sql    // a query for items, nil for all
	size  float64 // about how many these are
	share float64 // about which share of all items match
}

const (
	// maxCounted bounds the counting of candidates: where there are more it is
	// not worth knowing how many.
	maxCounted = 20_000
	// maxUnion bounds the terms of an OR that are looked up one by one.
	maxUnion = 20
)

// candidates finds the smallest set that it can name. Its query may give an item
// of which the filter is not true, but none twice.
func (s *search) candidates(e filter.Expr, total float64) (candidates, error) {
	all := candidates{size: total, share: 1}
	switch e := e.(type) {
	case filter.And:
		return s.smallest(e, total)
	case filter.Or:
		return s.union(e, total)
	case filter.Comparison:
		if e.Op == filter.IsNull {
			return all, nil
		}
		return s.lookup(e, total)
	}
	return all, nil
}

// smallest takes the smallest of the candidates of terms that must all hold.
func (s *search) smallest(terms filter.And, total float64) (candidates, error) {
	best := candidates{size: total, share: 1}
	share := 1.0
	for _, t := range terms {
		c, err := s.candidates(t, total)
		if err != nil {
			return best, err
		}
		share *= c.share
		if c.size < best.size {
			best = c
		}
		if best.size == 0 {
			break
		}
	}
	best.share = share
	return best, nil
}

// union takes the candidates of terms one of which must hold.
func (s *search) union(terms filter.Or, total float64) (candidates, error) {
	all := candidates{size: total, share: 1}
	if len(terms) > maxUnion {
		return all, nil
	}
	var l list
	sum, share := 0.0, 0.0
	for i, t := range terms {
		c, err := s.candidates(t, total)
		if err != nil || c.items == nil {
			return all, err
		}
		if i > 0 {
			l.add(" UNION ")
		}
		l.add("SELECT item FROM (", *c.items)
		l.add(")")
		sum, share = sum+c.size, share+c.share
	}
	items := raw(l.text.String(), l.args...)
	return candidates{&items, min(sum, total), min(share, 1)}, nil
}

// lookup counts the items that match a comparison.
func (s *search) lookup(e filter.Comparison, total float64) (candidates, error) {
	all := candidates{size: total, share: 1}
	n, err := s.field(s.kind.number, e.Field)
	if err != nil {
		return all, err
	}
	holds, ok := ranged(e)
	if !ok {
		return all, nil
	}
	items := wrapped("SELECT item FROM "+table(e.Field)+" INDEXED BY "+table(e.Field)+"_value WHERE field = ? AND "+holds.text, raw("", n), holds)
	counting := wrapped("SELECT count(*) FROM ("+items.text+" LIMIT ?)", items, raw("", maxCounted))
	count, err := s.count(counting)
	if err != nil || count >= maxCounted {
		return all, err
	}
	return candidates{&items, count, count / total}, nil
}

// counted is what a query counted.
type counted struct {
	n  float64
	at time.Time
}

const (
	// countGood is for how long a count is good enough: it only decides on the way
	// that a search takes.
	countGood = 10 * time.Second
	// maxCounts bounds the counts that a connection keeps.
	maxCounts = 256
)

// count counts, or gives what was counted a moment ago.
func (c *conn) count(q sql) (n float64, err error) {
	key, now := fmt.Sprint(q.text, q.args), time.Now()
	if have, ok := c.counts[key]; ok && now.Sub(have.at) < countGood {
		return have.n, nil
	}
	err = c.rows(func(r *sqlite3.Stmt) error { n = r.ColumnFloat(0); return nil }, q.text, q.args...)
	if err != nil {
		return 0, err
	}
	if len(c.counts) >= maxCounts {
		clear(c.counts)
	}
	c.counts[key] = counted{n, now}
	return n, nil
}

// ranged gives the comparison as a range of the index: by the text before the
// first wildcard in a pattern that has one. It is not there when the range is
// everything.
func ranged(e filter.Comparison) (sql, bool) {
	switch e.Op {
	case filter.ILikeOp:
		return sql{}, false
	case filter.LikeOp:
		low, high, ok := prefixRange(e.Values[0].Text)
		return raw("value >= ? AND value < ?", low, high), ok
	case filter.Less, filter.LessEqual:
		low := raw("value >= ?", math.Inf(-1))
		holds := compared(e, "value")
		return wrapped(low.text+" AND "+holds.text, low, holds), true
	}
	return compared(e, "value"), true
}

// prefixRange gives the texts between which all are that match the pattern.
func prefixRange(pattern string) (low, high string, ok bool) {
	for i := range len(pattern) {
		if pattern[i] == '%' || pattern[i] == '_' {
			pattern = pattern[:i]
			break
		}
	}
	return pattern, pattern + "\xff", pattern != ""
}

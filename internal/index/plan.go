package index

import (
	"fmt"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/azml-go/azml/internal/filter"
)

// search is one search on a connection.
type search struct {
	*conn
	kind *Kind
}

// match is an item that was found.
type match struct {
	item  int64
	state State
}

// selected begins a statement that finds items.
const selected = "SELECT i.n, i.state FROM "

// find gives the first items, up to limit, after a position. There are two ways,
// and it takes the one that looks at fewer items, as far as it can tell: to take
// those that an index of values gives for a part of the filter, and sort what is
// left of them; or to go through the items in the order of the first key until
// enough were found.
func (s *search) find(e filter.Expr, order []filter.Order, after *position, limit int) ([]match, error) {
	total, err := s.total()
	if err != nil {
		return nil, err
	}
	c, err := s.candidates(e, total)
	if err != nil {
		return nil, err
	}
	walked := min(float64(limit)/c.share, total) // a page is full when so many were passed
	if len(order) > 0 && c.size > walked {
		return s.walk(e, order, after, limit)
	}
	return s.sort(c.items, e, order, after, limit)
}

// total is about how many items there are: not fewer, and not 0.
func (s *search) total() (total float64, err error) {
	err = s.rows(func(r *sqlite3.Stmt) error { total = r.ColumnFloat(0) + 1; return nil }, `SELECT max(n) FROM item`)
	return total, err
}

// sort finds items among candidates, all of the kind when items is nil.
func (s *search) sort(items *sql, e filter.Expr, order []filter.Order, after *position, limit int) ([]match, error) {
	var l list
	if items == nil {
		l.add(selected+"item i", sql{})
	} else {
		l.add(selected+"(", *items)
		l.add(") c CROSS JOIN item i ON i.n = c.item")
	}
	columns, err := s.join(&l, order, nil)
	if err != nil {
		return nil, err
	}
	return s.finish(&l, raw("i.kind = ?", s.kind.number), e, columns, after, limit)
}

// walk finds items in the order of the first key: those with a value, then those
// with NaN, then those without one, which go by the other keys.
func (s *search) walk(e filter.Expr, order []filter.Order, after *position, limit int) ([]match, error) {
	first := order[0]
	var found []match
	if after == nil || !after.values[0].missing {
		for _, part := range parts(first, after) {
			some, err := s.stretch(part, e, order, after, limit-len(found))
			if found = append(found, some...); err != nil || len(found) == limit {
				return found, err
			}
		}
		after = nil // what is missing comes after all of them
	}
	missing := filter.All(e, filter.Comparison{Field: first.Field, Op: filter.IsNull})
	some, err := s.find(missing, order[1:], after.rest(), limit-len(found))
	return append(found, some...), err
}

// parts gives the conditions on the value of the first key, one for each stretch
// of it that the index has in the right order.
func parts(first filter.Order, after *position) []sql {
	at := placed{missing: true} // nothing
	if after != nil {
		at = after.values[0]
	}
	descending := first.Field.Type == filter.Number && first.Desc
	start, from := raw("1"), " >= ?"
	if first.Desc {
		from = " <= ?"
	}
	if !at.missing && (!at.nan(first.Field) || !descending) { // a seek, where beyond alone would be a filter
		start = raw("o0.value"+from, argument(first.Field, at.value))
	}
	if !descending {
		return []sql{start}
	}
	notNumbers := raw("o0.value >= ''")
	if at.nan(first.Field) {
		return []sql{notNumbers}
	}
	return []sql{wrapped("o0.value < '' AND "+start.text, start), notNumbers}
}

// stretch finds items by going through the values of the first key.
func (s *search) stretch(part sql, e filter.Expr, order []filter.Order, after *position, limit int) ([]match, error) {
	n, err := s.field(s.kind.number, order[0].Field)
	if err != nil {
		return nil, err
	}
	var l list
	l.add(selected+table(order[0].Field)+" o0 INDEXED BY "+table(order[0].Field)+"_value CROSS JOIN item i ON i.n = o0.item", sql{})
	columns, err := s.join(&l, order[1:], &column{"o0.value", order[0], true})
	if err != nil {
		return nil, err
	}
	where := wrapped("o0.field = ? AND "+part.text, raw("", n), part)
	return s.finish(&l, where, e, columns, after, limit)
}

// join adds the values of the keys to a statement, behind a first one that is
// there.
func (s *search) join(l *list, order []filter.Order, first *column) ([]column, error) {
	var columns []column
	if first != nil {
		columns = append(columns, *first)
	}
	for _, o := range order {
		n, err := s.field(s.kind.number, o.Field)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("o%d", len(columns))
		l.add(fmt.Sprintf(" LEFT JOIN %s %s ON %s.field = ? AND %s.item = i.n", table(o.Field), name, name, name), raw("", n))
		columns = append(columns, column{name + ".value", o, false})
	}
	return columns, nil
}

// finish adds conditions, order and limit to a statement and runs it.
func (s *search) finish(l *list, where sql, e filter.Expr, columns []column, after *position, limit int) (found []match, err error) {
	l.add(" WHERE ", where)
	if e != nil {
		condition, err := s.condition(e)
		if err != nil {
			return nil, err
		}
		l.add(" AND ", condition)
	}
	if after != nil {
		l.add(" AND ", beyond(columns, after))
	}
	var terms []string
	for _, c := range columns {
		terms = append(terms, c.terms())
	}
	l.add(" ORDER BY "+strings.Join(append(terms, "i.id"), ", ")+" LIMIT ?", raw("", limit))
	err = s.rows(func(r *sqlite3.Stmt) error {
		found = append(found, match{r.ColumnInt64(0), State(r.ColumnInt64(1))})
		return nil
	}, l.text.String(), l.args...)
	return found, err
}

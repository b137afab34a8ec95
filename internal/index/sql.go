package index

import (
	"math"
	"strings"

	"github.com/azml-go/azml/internal/filter"
)

// sql is a piece of SQL with the arguments of its question marks.
type sql struct {
	text string
	args []any
}

func raw(text string, args ...any) sql { return sql{text, args} }

// joined gives the pieces with between between them, in pairs of pairs: SQLite
// bounds how deep an expression is, not how wide.
func joined(pieces []sql, between string) sql {
	if len(pieces) == 1 {
		return pieces[0]
	}
	a, b := joined(pieces[:len(pieces)/2], between), joined(pieces[len(pieces)/2:], between)
	return wrapped("("+a.text+between+b.text+")", a, b)
}

// wrapped gives a text that holds the texts of pieces in their order.
func wrapped(text string, pieces ...sql) sql {
	out := sql{text: text}
	for _, p := range pieces {
		out.args = append(out.args, p.args...)
	}
	return out
}

// list collects the parts of a statement.
type list struct {
	text strings.Builder
	args []any
}

func (l *list) add(text string, pieces ...sql) {
	l.text.WriteString(text)
	for _, p := range pieces {
		l.text.WriteString(p.text)
		l.args = append(l.args, p.args...)
	}
}

// condition gives the filter as a condition on the item i.n: NULL where it is
// unknown.
func (s *search) condition(e filter.Expr) (sql, error) {
	switch e := e.(type) {
	case filter.And:
		return s.conditions(e, " AND ")
	case filter.Or:
		return s.conditions(e, " OR ")
	case filter.Not:
		term, err := s.condition(e.Term)
		return wrapped("NOT ("+term.text+")", term), err
	}
	c := e.(filter.Comparison)
	n, err := s.field(s.kind.number, c.Field)
	value := raw("(SELECT value FROM "+table(c.Field)+" WHERE field = ? AND item = i.n)", n)
	holds := compared(c, value.text)
	return wrapped("("+holds.text+")", value, holds), err
}

func (s *search) conditions(terms []filter.Expr, between string) (sql, error) {
	var pieces []sql
	for _, t := range terms {
		p, err := s.condition(t)
		if err != nil {
			return sql{}, err
		}
		pieces = append(pieces, p)
	}
	return joined(pieces, between), nil
}

// compared gives the comparison of a value, which is named once. Comparisons of
// numbers have both ends: NaN, a text, is above all numbers.
func compared(c filter.Comparison, value string) sql {
	between := func(low, high float64) sql { return raw(value+" BETWEEN ? AND ?", low, high) }
	var v filter.Value
	if len(c.Values) > 0 {
		v = c.Values[0]
	}
	switch c.Op {
	case filter.IsNull:
		return raw(value + " IS NULL")
	case filter.LikeOp:
		return raw("matches("+value+", ?)", v.Text)
	case filter.ILikeOp:
		return raw("imatches("+value+", ?)", v.Text)
	case filter.GreaterEqual:
		return between(v.Number, math.Inf(1))
	case filter.Greater:
		if v.Number == math.Inf(1) {
			return between(1, 0) // never, but unknown of what is missing
		}
		return between(math.Nextafter(v.Number, math.Inf(1)), math.Inf(1))
	case filter.LessEqual:
		return raw(value+" <= ?", v.Number)
	case filter.Less:
		return raw(value+" < ?", v.Number)
	case filter.Equal:
		return raw(value+" = ?", argument(c.Field, v))
	}
	in := sql{text: value + " IN (?" + strings.Repeat(", ?", len(c.Values)-1) + ")"}
	for _, v := range c.Values {
		in.args = append(in.args, argument(c.Field, v))
	}
	return in
}

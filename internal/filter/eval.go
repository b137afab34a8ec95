package filter

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Row holds the values of one thing. What is not in it is missing.
type Row map[Field]Value

// truth is what an expression is about a row.
type truth int8

const (
	unknown truth = iota
	no
	yes
)

func truthOf(is bool) truth {
	if is {
		return yes
	}
	return no
}

// Match tells whether the filter is true of the row.
func Match(e Expr, row Row) bool { return e == nil || eval(Spread(e, row.datasets()), row) == yes }

func eval(e Expr, row Row) truth {
	switch e := e.(type) {
	case And:
		return fold(e, row, no, yes)
	case Or:
		return fold(e, row, yes, no)
	case Not:
		switch eval(e.Term, row) {
		case yes:
			return no
		case no:
			return yes
		}
		return unknown
	}
	return e.(Comparison).eval(row)
}

// fold gives decides if one term is, otherwise when all are, else unknown.
func fold(terms []Expr, row Row, decides, otherwise truth) truth {
	result := otherwise
	for _, t := range terms {
		switch eval(t, row) {
		case decides:
			return decides
		case unknown:
			result = unknown
		}
	}
	return result
}

func (e Comparison) eval(row Row) truth {
	have, there := row[e.Field]
	switch {
	case e.Op == IsNull:
		return truthOf(!there)
	case !there:
		return unknown
	}
	return truthOf(slices.ContainsFunc(e.Values, func(want Value) bool { return e.holds(have, want) }))
}

func (e Comparison) holds(have, want Value) bool {
	switch e.Op {
	case LikeOp:
		return Like(want.Text, have.Text)
	case ILikeOp:
		return ILike(want.Text, have.Text)
	case Less:
		return have.Number < want.Number
	case LessEqual:
		return have.Number <= want.Number
	case Greater:
		return have.Number > want.Number
	case GreaterEqual:
		return have.Number >= want.Number
	}
	if e.Field.Type == Number { // Equal and In
		return have.Number == want.Number
	}
	return have.Text == want.Text
}

// Compare says which of two rows comes first in the orders: -1 for a, 1 for b,
// 0 when they are equal there.
func Compare(a, b Row, orders []Order) int {
	for _, o := range orders {
		x, inA := a[o.Field]
		y, inB := b[o.Field]
		place, placeY := o.Field.place(x, inA), o.Field.place(y, inB)
		c := cmp.Compare(place, placeY)
		if c == 0 && place == 0 {
			if c = o.Field.compare(x, y); o.Desc {
				c = -c
			}
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// place puts NaN behind numbers, and what is missing behind all.
func (f Field) place(v Value, there bool) int {
	switch {
	case !there:
		return 2
	case f.Type == Number && math.IsNaN(v.Number):
		return 1
	}
	return 0
}

func (f Field) compare(x, y Value) int {
	if f.Type == Number {
		return cmp.Compare(x.Number, y.Number)
	}
	return strings.Compare(x.Text, y.Text)
}

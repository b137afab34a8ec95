package expr

import (
	"cmp"
	"math"
	"strconv"
	"strings"

	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/tabular"
)

// answer is what a test says of a row.
type answer uint8

const (
	no answer = iota
	yes
	unknown
)

// test is a node whose columns are known.
type test interface {
	eval(b *tabular.Batch) []answer
}

type (
	junction struct {
		of  []test
		any bool // OR, else AND
	}
	negation struct{ of test }
	missing  struct{ column int }
	matching struct {
		column  int
		pattern string
		match   func(pattern, text string) bool
	}
	comparing struct {
		left, right values
		outcome     outcome
		class       class
		whole       bool // both are int64
	}
)

var matchers = map[string]func(pattern, text string) bool{
	"like":        filter.Like,
	"ilike":       filter.ILike,
	"starts_with": func(pattern, text string) bool { return strings.HasPrefix(text, pattern) },
	"ends_with":   func(pattern, text string) bool { return strings.HasSuffix(text, pattern) },
	"contains":    func(pattern, text string) bool { return strings.Contains(text, pattern) },
}

func (t junction) eval(b *tabular.Batch) []answer {
	out := t.of[0].eval(b)
	decided := no // what one term decides for all
	if t.any {
		decided = yes
	}
	for _, term := range t.of[1:] {
		for i, a := range term.eval(b) {
			switch {
			case out[i] == decided:
			case a == decided || a == unknown:
				out[i] = a
			}
		}
	}
	return out
}

func (t negation) eval(b *tabular.Batch) []answer {
	out := t.of.eval(b)
	for i, a := range out {
		if a != unknown {
			out[i] = yes - a
		}
	}
	return out
}

func (t missing) eval(b *tabular.Batch) []answer {
	out := make([]answer, b.Rows)
	for i, null := range b.Columns[t.column].Nulls {
		if null {
			out[i] = yes
		}
	}
	return out
}

func (t matching) eval(b *tabular.Batch) []answer {
	c := &b.Columns[t.column]
	out := make([]answer, b.Rows)
	for i, text := range c.Texts {
		if t.match(t.pattern, text) {
			out[i] = yes
		}
	}
	return unknowns(out, c)
}

// unknowns marks the rows where the column's value is missing.
func unknowns(out []answer, c *tabular.Column) []answer {
	for i, null := range c.Nulls {
		if null {
			out[i] = unknown
		}
	}
	return out
}

// values are those of a column, or one that is the same for all rows.
type values struct {
	at       int
	typ      tabular.Type
	constant *tabular.Column
}

func (v values) kind() tabular.Type {
	if v.constant != nil {
		return v.constant.Type
	}
	return v.typ
}

// of gives the values for a batch, and how far it is from one row to the next.
func (v values) of(b *tabular.Batch) (c *tabular.Column, stride int) {
	if v.constant != nil {
		return v.constant, 0
	}
	return &b.Columns[v.at], 1
}

// outcome is what a comparison says when the left side is less, equal or greater,
// or when there is a NaN.
type outcome struct{ less, equal, greater, nan answer }

var outcomes = map[string]outcome{
	"=":  {equal: yes},
	"!=": {less: yes, greater: yes, nan: yes},
	"<":  {less: yes},
	"<=": {less: yes, equal: yes},
	">":  {greater: yes},
	">=": {equal: yes, greater: yes},
}

func (t comparing) eval(b *tabular.Batch) []answer {
	left, l := t.left.of(b)
	right, r := t.right.of(b)
	out := make([]answer, b.Rows)
	switch {
	case t.whole:
		comparison(out, left.Ints, l, right.Ints, r, t.outcome)
	case t.class == numbers:
		comparison(out, floats(left), l, floats(right), r, t.outcome)
	case t.class == texts:
		comparison(out, left.Texts, l, right.Texts, r, t.outcome)
	default:
		comparison(out, bits(left.Bools), l, bits(right.Bools), r, t.outcome)
	}
	if l > 0 {
		out = unknowns(out, left)
	}
	if r > 0 {
		out = unknowns(out, right)
	}
	return out
}

func comparison[T cmp.Ordered](out []answer, left []T, l int, right []T, r int, o outcome) {
	for i := range out {
		switch a, b := left[i*l], right[i*r]; {
		case a < b:
			out[i] = o.less
		case a == b:
			out[i] = o.equal
		case a > b:
			out[i] = o.greater
		default:
			out[i] = o.nan
		}
	}
}

// floats gives the numbers of a column.
func floats(c *tabular.Column) []float64 {
	switch c.Type {
	case tabular.Float:
		return c.Floats
	case tabular.Int:
		out := make([]float64, len(c.Ints))
		for i, v := range c.Ints {
			out[i] = float64(v)
		}
		return out
	}
	out := make([]float64, len(c.Texts))
	for i, text := range c.Texts {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			v = math.NaN()
		}
		out[i] = v
	}
	return out
}

func bits(values []bool) []uint8 {
	out := make([]uint8, len(values))
	for i, v := range values {
		if v {
			out[i] = 1
		}
	}
	return out
}

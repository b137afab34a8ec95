package filter

import (
	"strconv"
	"strings"
)

// DatasetKeys are what datasets can be searched by. The context is what the
// dataset was used for.
var DatasetKeys = []string{"name", "digest", "context"}

// datasetMark stands between a key and the number of a dataset.
const datasetMark = "\x1f"

// DatasetField gives the field in which a [Row] has the key of its dataset of
// that number, counted from 0.
func DatasetField(n int, key string) Field {
	return Field{Dataset, key + datasetMark + strconv.Itoa(n), Text}
}

// any tells whether it is true when it is of any of a row's datasets.
func (e Comparison) any() bool { return e.Field.Entity == Dataset && e.Op != IsNull }

// Spread gives the filter in which each comparison of datasets is one of each of
// the first n, as in MLflow: it is true when there is a dataset of which it is
// true, by !=, NOT IN and NOT LIKE, too, else false. IS NULL is true when none has
// a value. No row has more than n datasets.
func Spread(e Expr, n int) Expr {
	switch e := e.(type) {
	case And:
		return And(spreadAll(e, n))
	case Or:
		return Or(spreadAll(e, n))
	case Not:
		if c, ok := e.Term.(Comparison); ok && c.any() {
			return anyDataset(c, n, func(c Comparison) Expr { return Not{c} })
		}
		return Not{Spread(e.Term, n)}
	case Comparison:
		if e.Field.Entity == Dataset {
			return anyDataset(e, n, func(c Comparison) Expr { return c })
		}
	}
	return e
}

func spreadAll(terms []Expr, n int) []Expr {
	out := make([]Expr, len(terms))
	for i, t := range terms {
		out[i] = Spread(t, n)
	}
	return out
}

func anyDataset(c Comparison, n int, of func(Comparison) Expr) Expr {
	terms := make([]Expr, max(n, 1))
	key := c.Field.Key
	for i := range terms {
		c.Field = DatasetField(i, key)
		if terms[i] = of(c); c.Op != IsNull { // of what is missing it would be unknown
			terms[i] = And{Not{Comparison{Field: c.Field, Op: IsNull}}, terms[i]}
		}
	}
	switch {
	case len(terms) == 1:
		return terms[0]
	case c.Op == IsNull:
		return And(terms)
	}
	return Or(terms)
}

// Spreads counts the comparisons of datasets in the filter, and their values.
func Spreads(e Expr) (n int) {
	var terms []Expr
	switch e := e.(type) {
	case And:
		terms = e
	case Or:
		terms = e
	case Not:
		return Spreads(e.Term)
	case Comparison:
		if e.Field.Entity == Dataset {
			n = 1 + len(e.Values)
		}
	}
	for _, t := range terms {
		n += Spreads(t)
	}
	return n
}

// datasets gives how many datasets the row has.
func (r Row) datasets() (n int) {
	for f := range r {
		if f.Entity != Dataset {
			continue
		}
		_, number, _ := strings.Cut(f.Key, datasetMark)
		if i, err := strconv.Atoi(number); err == nil {
			n = max(n, i+1)
		}
	}
	return n
}

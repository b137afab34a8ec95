package delimited

import (
	"slices"
	"sync"

	"github.com/azml-go/azml/tabular"
)

// Pool keeps the slices of columns that nobody looks at any more, for the batches to
// come: what is a row's is written anew in each. It is safe for concurrent use. A nil
// Pool keeps nothing.
type Pool struct {
	mu     sync.Mutex
	ints   [][]int64
	floats [][]float64
	bools  [][]bool
	texts  [][]string
}

// Recycle takes the columns of a batch that was read with the pool. The values must
// not be looked at afterwards.
func (p *Pool) Recycle(b *tabular.Batch) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range b.Columns {
		p.ints, p.floats, p.bools, p.texts = kept(p.ints, c.Ints), kept(p.floats, c.Floats), kept(p.bools, c.Bools), kept(p.texts, c.Texts)
	}
}

// kept adds a slice to a list, unless it is there: two columns may share one.
func kept[T any](list [][]T, s []T) [][]T {
	if len(s) == 0 || slices.ContainsFunc(list, func(other []T) bool { return &other[0] == &s[0] }) {
		return list
	}
	return append(list, s)
}

// column gives a column of n values, which may be any.
func (p *Pool) column(f tabular.Field, n int) tabular.Column {
	if p == nil {
		return tabular.NewColumn(f, n)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := tabular.Column{Field: f}
	there := false
	switch f.Type {
	case tabular.Int, tabular.Time:
		p.ints, c.Ints, there = taken(p.ints, n)
	case tabular.Float:
		p.floats, c.Floats, there = taken(p.floats, n)
	case tabular.Bool:
		p.bools, c.Bools, there = taken(p.bools, n)
	default:
		p.texts, c.Texts, there = taken(p.texts, n)
	}
	if !there {
		return tabular.NewColumn(f, n)
	}
	return c
}

// taken takes the last slice of a list, if it has room for n values. One that has not
// is forgotten.
func taken[T any](list [][]T, n int) (rest [][]T, s []T, there bool) {
	if len(list) == 0 {
		return list, nil, false
	}
	rest, s = list[:len(list)-1], list[len(list)-1]
	if cap(s) < n || n == 0 {
		return rest, nil, false
	}
	return rest, s[:n], true
}

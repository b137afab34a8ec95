package index

import (
	"math"

	"github.com/azml-go/azml/internal/filter"
)

// position is a place in an order: the values of the item that it comes after,
// one for each key of the order.
type position struct {
	values []placed
	id     string
}

// placed is the value of one key.
type placed struct {
	missing bool
	value   filter.Value
}

func (p placed) nan(f filter.Field) bool {
	return f.Type == filter.Number && math.IsNaN(p.value.Number)
}

// rest gives the position in the order without its first key.
func (p *position) rest() *position {
	if p == nil {
		return nil
	}
	return &position{p.values[1:], p.id}
}

// column is a key of an order in a statement.
type column struct {
	name   string
	order  filter.Order
	walked bool // a stretch of it: never missing, nor both numbers and NaN where that matters
}

// terms gives what to order by in SQL.
func (c column) terms() string {
	text := ""
	if !c.walked {
		text = c.name + " IS NULL, "
	}
	if !c.order.Desc {
		return text + c.name
	}
	if !c.walked && c.order.Field.Type == filter.Number {
		text += c.name + " >= '', " // NaN
	}
	return text + c.name + " DESC"
}

// after gives the condition that a column is behind a value.
func (c column) after(p placed) sql {
	f := c.order.Field
	switch {
	case p.missing:
		return raw("0")
	case p.nan(f):
		return raw(c.name + " IS NULL")
	case !c.order.Desc:
		return raw("("+c.name+" > ? OR "+c.name+" IS NULL)", argument(f, p.value))
	case f.Type == filter.Number:
		return raw("("+c.name+" < ? OR "+c.name+" >= '' OR "+c.name+" IS NULL)", p.value.Number)
	}
	return raw("("+c.name+" < ? OR "+c.name+" IS NULL)", p.value.Text)
}

// at gives the condition that a column has the value.
func (c column) at(p placed) sql {
	if p.missing {
		return raw(c.name + " IS NULL")
	}
	return raw(c.name+" = ?", argument(c.order.Field, p.value))
}

// beyond gives the condition that an item comes after the position.
func beyond(columns []column, p *position) sql {
	if len(columns) == 0 {
		return raw("i.id > ?", p.id)
	}
	after, at, rest := columns[0].after(p.values[0]), columns[0].at(p.values[0]), beyond(columns[1:], p.rest())
	return wrapped("("+after.text+" OR ("+at.text+" AND "+rest.text+"))", after, at, rest)
}

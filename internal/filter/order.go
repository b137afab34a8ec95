package filter

import (
	"slices"
	"unicode/utf8"
)

// Order is a key to order by. What has no value comes last, and NaN right
// before it, in both directions.
type Order struct {
	// Field is what is ordered by.
	Field Field
	// Desc puts the greatest first.
	Desc bool
}

// String gives the order as [Schema.ParseOrder] reads it.
func (o Order) String() string {
	if o.Desc {
		return o.Field.String() + " DESC"
	}
	return o.Field.String() + " ASC"
}

// ParseOrder reads keys such as "metrics.loss", "start_time DESC" or "tags.`a b`
// ASC", each one order or several with commas between them, and adds the
// schema's own. A key that comes twice counts once. Errors: ErrInvalid, naming
// the column and what was expected there.
func (s *Schema) ParseOrder(keys ...string) ([]Order, error) {
	var all []Order
	for _, text := range keys {
		read, err := s.orders(text)
		if err != nil {
			return nil, err
		}
		all = append(all, read...)
	}
	if len(all) > maxOrders {
		return nil, invalid("order has %d keys: use at most %d", len(all), maxOrders)
	}
	var out []Order
	for _, o := range append(all, s.Order...) {
		if !slices.ContainsFunc(out, func(before Order) bool { return before.Field == o.Field }) {
			out = append(out, o)
		}
	}
	return out, nil
}

func (s *Schema) orders(text string) ([]Order, error) {
	switch {
	case len(text) > maxBytes:
		return nil, invalid("order has %d bytes: use at most %d", len(text), maxBytes)
	case !utf8.ValidString(text):
		return nil, invalid("order is not UTF-8")
	}
	sc := scanner{what: "order", text: text}
	sc.space()
	var out []Order
	for {
		begin := sc.pos
		f, err := sc.field(s)
		if err != nil {
			return nil, err
		}
		if f.Entity == Dataset {
			return nil, sc.fail(begin, "%s can't be ordered by: there may be several", f)
		}
		o := Order{Field: f, Desc: sc.keyword("DESC")}
		if !o.Desc {
			sc.keyword("ASC")
		}
		out = append(out, o)
		if sc.done() {
			return out, nil
		}
		if !sc.take(",") {
			return nil, sc.expected("ASC, DESC, a comma or the end")
		}
	}
}

package filter

import (
	"unicode/utf8"
)

// The bounds of a filter and an order.
const (
	maxBytes       = 64 << 10
	maxComparisons = 500
	maxValues      = 10_000
	maxDepth       = 64
	maxOrders      = 16
)

// Parse reads a filter; one without any word is nil, which matches everything.
// Errors: ErrInvalid, naming the column and what was expected there.
func (s *Schema) Parse(text string) (Expr, error) {
	switch {
	case len(text) > maxBytes:
		return nil, invalid("filter has %d bytes: use at most %d", len(text), maxBytes)
	case !utf8.ValidString(text):
		return nil, invalid("filter is not UTF-8")
	}
	p := parser{scanner: scanner{what: "filter", text: text}, schema: s}
	if p.space(); p.done() {
		return nil, nil
	}
	e, err := p.or(0)
	if err == nil && !p.done() {
		err = p.expected("AND, OR or the end")
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// parser is a parser by recursive descent. Each method begins at a character
// that is no space and leaves the same.
type parser struct {
	scanner
	schema              *Schema
	comparisons, values int
}

func (p *parser) or(depth int) (Expr, error) {
	terms, err := p.terms("OR", func() (Expr, error) { return p.and(depth) })
	if len(terms) == 1 {
		return terms[0], err
	}
	return Or(terms), err
}

func (p *parser) and(depth int) (Expr, error) {
	terms, err := p.terms("AND", func() (Expr, error) { return p.term(depth) })
	if len(terms) == 1 {
		return terms[0], err
	}
	return And(terms), err
}

// terms reads one term or more with the word between them.
func (p *parser) terms(word string, read func() (Expr, error)) ([]Expr, error) {
	var terms []Expr
	for {
		e, err := read()
		if err != nil {
			return nil, err
		}
		terms = append(terms, e)
		if !p.keyword(word) {
			return terms, nil
		}
	}
}

func (p *parser) term(depth int) (Expr, error) {
	if depth > maxDepth {
		return nil, p.fail(p.pos, "more than %d parentheses and NOTs within each other", maxDepth)
	}
	switch {
	case p.keyword("NOT"):
		e, err := p.term(depth + 1)
		if c, ok := e.(Comparison); ok && c.any() {
			e = Or{c} // where Not{c} is what != says
		}
		return Not{e}, err
	case p.take("("):
		e, err := p.or(depth + 1)
		if err == nil && !p.take(")") {
			err = p.expected("AND, OR or )")
		}
		return e, err
	}
	return p.comparison()
}

func (p *parser) comparison() (Expr, error) {
	if p.comparisons++; p.comparisons > maxComparisons {
		return nil, p.fail(p.pos, "more than %d comparisons", maxComparisons)
	}
	f, err := p.field(p.schema)
	if err != nil {
		return nil, err
	}
	if p.keyword("IS") {
		return p.null(f)
	}
	if p.keyword("NOT") {
		e, err := p.wordOp(f)
		return Not{e}, err
	}
	if e, err := p.symbol(f); e != nil || err != nil {
		return e, err
	}
	return p.wordOp(f)
}

// null reads what follows IS.
func (p *parser) null(f Field) (Expr, error) {
	not := p.keyword("NOT")
	if !p.keyword("NULL") {
		return nil, p.expected("NULL or NOT NULL")
	}
	if not {
		return Not{Comparison{Field: f, Op: IsNull}}, nil
	}
	return Comparison{Field: f, Op: IsNull}, nil
}

// symbol reads a comparison by = and the like, nil when none comes next.
func (p *parser) symbol(f Field) (Expr, error) {
	begin := p.pos
	for _, wrong := range [][2]string{{"==", "="}, {"<>", "!="}} {
		if p.take(wrong[0]) {
			return nil, p.fail(begin, "write %s instead of %s", wrong[1], wrong[0])
		}
	}
	for _, op := range []Op{"!=", LessEqual, GreaterEqual, Equal, Less, Greater} { // the longer ones first
		if !p.take(string(op)) {
			continue
		}
		if f.Type == Text && op != Equal && op != "!=" {
			return nil, p.fail(begin, "%s has text, which is compared by %s", f, textOps)
		}
		v, err := p.value(f)
		if err != nil {
			return nil, err
		}
		if p.values++; op == "!=" {
			return p.unequal(f, v), nil
		}
		return Comparison{f, op, []Value{v}}, nil
	}
	return nil, nil
}

func (p *parser) unequal(f Field, v Value) Expr {
	e := Not{Comparison{f, Equal, []Value{v}}}
	if f.Entity == Tag && p.schema.UnequalMissing {
		return Or{e, Comparison{Field: f, Op: IsNull}}
	}
	return e
}

const (
	textOps   = "=, !=, LIKE, ILIKE, IN or IS NULL"
	numberOps = "=, !=, <, <=, >, >=, IN or IS NULL"
)

// wordOp reads a comparison by LIKE, ILIKE or IN.
func (p *parser) wordOp(f Field) (Expr, error) {
	begin := p.pos
	for _, op := range []Op{LikeOp, ILikeOp} {
		if !p.keyword(string(op)) {
			continue
		}
		if f.Type != Text {
			return nil, p.fail(begin, "%s has numbers, which are compared by %s", f, numberOps)
		}
		v, err := p.value(f)
		p.values++
		return Comparison{f, op, []Value{v}}, err
	}
	if p.keyword(string(In)) {
		values, err := p.list(f)
		return Comparison{f, In, values}, err
	}
	if f.Type == Text {
		return nil, p.expected(textOps)
	}
	return nil, p.expected(numberOps)
}

// list reads values in parentheses; a comma at the end is passed over.
func (p *parser) list(f Field) ([]Value, error) {
	if !p.take("(") {
		return nil, p.expected("a list in parentheses")
	}
	var values []Value
	for {
		v, err := p.value(f)
		if err != nil {
			return nil, err
		}
		if p.values++; p.values > maxValues {
			return nil, p.fail(p.pos, "more than %d values", maxValues)
		}
		values = append(values, v)
		comma := p.take(",")
		if p.take(")") {
			return values, nil
		}
		if !comma {
			return nil, p.expected(", or )")
		}
	}
}

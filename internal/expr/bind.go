package expr

import (
	"fmt"

	"github.com/azml-go/azml/internal/textvalue"
	"github.com/azml-go/azml/tabular"
)

// Filter is an expression for tables of certain columns. It is not changed and
// safe for concurrent use.
type Filter struct{ root test }

// Bind looks up the columns and compares the types. Errors: ErrInvalid for a
// column that is not there, naming those there are, and for types that don't
// compare.
func (e *Expr) Bind(schema tabular.Schema) (*Filter, error) {
	b := binder{schema: schema, text: parser{text: e.text}}
	root, err := b.node(e.root)
	return &Filter{root}, err
}

// Keep tells for each row of a batch of those columns whether the expression is
// true of it.
func (f *Filter) Keep(b *tabular.Batch) []bool {
	keep := make([]bool, b.Rows)
	for i, t := range f.root.eval(b) {
		keep[i] = t == yes
	}
	return keep
}

// binder makes tests of nodes.
type binder struct {
	schema tabular.Schema
	text   parser
}

func (b binder) node(n node) (test, error) {
	switch n := n.(type) {
	case and:
		return b.all(n, false)
	case or:
		return b.all(n, true)
	case not:
		of, err := b.node(n.of)
		return negation{of}, err
	case isNull:
		c, err := b.column(n.of)
		return missing{c.at}, err
	case truth:
		if n.of.kind == boolOperand {
			return b.compare(compare{n.of, operand{kind: boolOperand, truth: true}, "="})
		}
		c, err := b.column(n.of)
		if err == nil && c.Type != tabular.Bool {
			err = b.text.fail(n.of.at, "column %q is %s, which is compared by =, !=, <, <=, >, >=, LIKE, IN or IS NULL", c.Name, c.Type)
		}
		return b.orCompare(compare{n.of, operand{kind: boolOperand, truth: true}, "="}, err)
	case in:
		var any or
		for _, v := range n.values {
			any = append(any, compare{n.left, v, "="})
		}
		return b.node(any)
	case match:
		return b.match(n)
	}
	c, _ := n.(compare)
	return b.compare(c)
}

func (b binder) orCompare(c compare, err error) (test, error) {
	if err != nil {
		return nil, err
	}
	return b.compare(c)
}

func (b binder) all(nodes []node, any bool) (test, error) {
	out := junction{any: any}
	for _, n := range nodes {
		t, err := b.node(n)
		if err != nil {
			return nil, err
		}
		out.of = append(out.of, t)
	}
	return out, nil
}

// bound is a column with its place.
type bound struct {
	tabular.Field
	at int
}

func (b binder) column(o operand) (bound, error) {
	if o.kind != columnOperand {
		return bound{}, b.text.fail(o.at, "expected a column")
	}
	at := b.schema.Index(o.text)
	if at < 0 {
		return bound{}, b.text.fail(o.at, "there is no column %q: use %s", o.text, names(b.schema))
	}
	return bound{b.schema[at], at}, nil
}

func names(s tabular.Schema) string {
	const most = 30
	text := ""
	for i, f := range s {
		if i == most {
			return text + fmt.Sprintf(" and %d more", len(s)-most)
		}
		if i > 0 {
			text += ", "
		}
		text += f.Name
	}
	return text
}

func (b binder) match(n match) (test, error) {
	c, err := b.column(n.left)
	if err == nil && c.Type != tabular.String && c.Type != tabular.Decimal && c.Type != tabular.Nested {
		err = b.text.fail(n.left.at, "%s is of texts, column %q is %s", n.name, c.Name, c.Type)
	}
	if err != nil {
		return nil, err
	}
	return matching{c.at, n.pattern, matchers[n.name]}, nil
}

// class is how values compare.
type class int

const (
	noClass class = iota
	numbers
	instants
	texts
	truths
)

func classOf(t tabular.Type) class {
	switch t {
	case tabular.Int, tabular.Float, tabular.Decimal:
		return numbers
	case tabular.Time:
		return instants
	case tabular.String:
		return texts
	case tabular.Bool:
		return truths
	}
	return noClass
}

// side gives an operand as values, and how they compare.
func (b binder) side(o operand) (values, class, error) {
	switch o.kind {
	case textOperand:
		return values{constant: column(tabular.String, func(c *tabular.Column) { c.Texts[0] = o.text })}, texts, nil
	case boolOperand:
		return values{constant: column(tabular.Bool, func(c *tabular.Column) { c.Bools[0] = o.truth })}, truths, nil
	case numberOperand:
		if o.exact {
			return values{constant: column(tabular.Int, func(c *tabular.Column) { c.Ints[0] = o.whole })}, numbers, nil
		}
		return values{constant: column(tabular.Float, func(c *tabular.Column) { c.Floats[0] = o.number })}, numbers, nil
	}
	c, err := b.column(o)
	return values{at: c.at, typ: c.Type}, classOf(c.Type), err
}

func column(t tabular.Type, set func(*tabular.Column)) *tabular.Column {
	c := tabular.NewColumn(tabular.Field{Type: t}, 1)
	set(&c)
	return &c
}

func (b binder) compare(n compare) (test, error) {
	left, leftClass, err := b.side(n.left)
	if err != nil {
		return nil, err
	}
	right, rightClass, err := b.side(n.right)
	if err != nil {
		return nil, err
	}
	for _, s := range []struct {
		values *values
		class  *class
		with   class
		at     operand
	}{{&left, &leftClass, rightClass, n.left}, {&right, &rightClass, leftClass, n.right}} {
		if s.with == instants && *s.class == texts && s.values.constant != nil { // a time is written as a text
			ns, ok, inRange := textvalue.Time([]byte(s.at.text), nil)
			if !ok || !inRange {
				return nil, b.text.fail(s.at.at, "%q is no time from 1678 to 2262 such as '2024-12-31' or '2024-12-31T23:59:59Z'", s.at.text)
			}
			s.values.constant, *s.class = column(tabular.Time, func(c *tabular.Column) { c.Ints[0] = ns }), instants
		}
	}
	if leftClass != rightClass || leftClass == noClass {
		return nil, b.text.fail(n.left.at, "%s and %s don't compare", b.describe(n.left), b.describe(n.right))
	}
	whole := leftClass == instants || left.kind() == tabular.Int && right.kind() == tabular.Int
	return comparing{left, right, outcomes[n.op], leftClass, whole}, nil
}

func (b binder) describe(o operand) string {
	switch o.kind {
	case textOperand:
		return fmt.Sprintf("the text '%.60s'", o.text)
	case numberOperand:
		return "a number"
	case boolOperand:
		return "true or false"
	}
	return fmt.Sprintf("column %q, which is %s,", o.text, b.schema[b.schema.Index(o.text)].Type)
}

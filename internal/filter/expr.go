package filter

import (
	"math"
	"strconv"
	"strings"
)

// Entity says what kind of thing a field is.
type Entity string

// The entities of a field.
const (
	// Attribute is part of the record itself, such as a run's status.
	Attribute Entity = "attributes"
	// Metric is a metric; its value is the last number that was logged.
	Metric Entity = "metrics"
	// Param is a parameter.
	Param Entity = "params"
	// Tag is a tag.
	Tag Entity = "tags"
	// Property is a property.
	Property Entity = "properties"
	// Dataset is what a run has used, of which it may have several. See [Spread].
	Dataset Entity = "datasets"
)

// Type is the type of a field's values.
type Type int

// The types of values.
const (
	// Text is UTF-8, compared byte by byte.
	Text Type = iota + 1
	// Number is a float64.
	Number
)

// Field is what a value belongs to.
type Field struct {
	// Entity is the kind of thing.
	Entity Entity
	// Key is the attribute's name in the schema, or the user's own key.
	Key string
	// Type is the type of its values.
	Type Type
}

// Value is a text or a number, as the field's type says.
type Value struct {
	// Text is the value of a field of type Text.
	Text string
	// Number is the value of a field of type Number.
	Number float64
}

// Op is a comparison.
type Op string

// The comparisons. Their negations are Not of these.
const (
	// Equal compares both types.
	Equal Op = "="
	// Less compares numbers.
	Less Op = "<"
	// LessEqual compares numbers.
	LessEqual Op = "<="
	// Greater compares numbers.
	Greater Op = ">"
	// GreaterEqual compares numbers.
	GreaterEqual Op = ">="
	// LikeOp compares text with a pattern, see [Like].
	LikeOp Op = "LIKE"
	// ILikeOp is LikeOp without regard to case, see [ILike].
	ILikeOp Op = "ILIKE"
	// In compares both types with a list.
	In Op = "IN"
	// IsNull tells whether the value is missing. It is never unknown.
	IsNull Op = "IS NULL"
)

// Expr is a parsed filter: an [And], [Or], [Not] or [Comparison]. The nil Expr
// matches everything.
type Expr interface {
	// String gives a filter of the same meaning.
	String() string
	expr()
}

// And is true when all of its two or more terms are.
type And []Expr

// Or is true when one of its terms is, of which there are two or more unless the
// only one compares datasets: then NOT of it is another thing than of that.
type Or []Expr

// Not is true when its term is false.
type Not struct {
	// Term is what is negated.
	Term Expr
}

// Comparison compares the value of a field.
type Comparison struct {
	// Field is what is compared.
	Field Field
	// Op is how.
	Op Op
	// Values is what it is compared with: none for IsNull, one or more for In,
	// one for all others.
	Values []Value
}

func (And) expr()        {}
func (Or) expr()         {}
func (Not) expr()        {}
func (Comparison) expr() {}

// String gives the filter with each term in parentheses.
func (e And) String() string { return join(e, " AND ") }

// String gives the filter with each term in parentheses.
func (e Or) String() string { return join(e, " OR ") }

// String gives the filter with its term in parentheses.
func (e Not) String() string {
	c, ok := e.Term.(Comparison)
	switch {
	case !ok || !c.any():
		return "NOT (" + e.Term.String() + ")"
	case c.Op == Equal:
		c.Op = "!="
	default:
		c.Op = "NOT " + c.Op
	}
	return c.String()
}

// String gives the comparison.
func (e Comparison) String() string {
	text := e.Field.String() + " " + string(e.Op)
	switch e.Op {
	case IsNull:
		return text
	case In, "NOT " + In:
		var values []string
		for _, v := range e.Values {
			values = append(values, e.Field.write(v))
		}
		return text + " (" + strings.Join(values, ", ") + ")"
	}
	return text + " " + e.Field.write(e.Values[0])
}

// String gives the field as a filter names it.
func (f Field) String() string { return string(f.Entity) + "." + Quote(f.Key, '`') }

func (f Field) write(v Value) string {
	switch {
	case f.Type == Number && math.IsInf(v.Number, 0):
		return strconv.FormatFloat(math.Copysign(1, v.Number), 'g', -1, 64) + "e999" // is read as infinite
	case f.Type == Number:
		return strconv.FormatFloat(v.Number, 'g', -1, 64)
	}
	return Quote(v.Text, '\'')
}

// Quote gives text between quotes, those in it doubled: by ' for a value, by `
// for a key.
func Quote(text string, quote rune) string {
	q := string(quote)
	return q + strings.ReplaceAll(text, q, q+q) + q
}

func join(terms []Expr, between string) string {
	var parts []string
	for _, t := range terms {
		parts = append(parts, "("+t.String()+")")
	}
	return strings.Join(parts, between)
}

// All gives the filter that is true when all terms are. Nil terms are left out.
func All(terms ...Expr) Expr {
	var and And
	for _, t := range terms {
		if t != nil {
			and = append(and, t)
		}
	}
	switch len(and) {
	case 0:
		return nil
	case 1:
		return and[0]
	}
	return and
}

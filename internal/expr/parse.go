package expr

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/azml-go/azml"
)

// The bounds of an expression.
const (
	maxBytes = 64 << 10
	maxDepth = 64
)

// Expr is a parsed expression. It is not changed and safe for concurrent use.
type Expr struct {
	root node
	text string
}

// Columns gives the names of the columns that it looks at, each once.
func (e *Expr) Columns() []string {
	var names []string
	e.root.operands(func(o operand) {
		if o.kind == columnOperand && !slices.Contains(names, o.text) {
			names = append(names, o.text)
		}
	})
	return names
}

// node is a part that is true, false or unknown.
type node interface{ operands(func(operand)) }

type (
	and     []node
	or      []node
	not     struct{ of node }
	isNull  struct{ of operand }
	compare struct {
		left, right operand
		op          string // = != < <= > >=
	}
	in struct {
		left   operand
		values []operand
	}
	match struct { // a function of two texts
		left    operand
		pattern string
		name    string // like, ilike, starts_with, ends_with, contains
	}
	truth struct{ of operand } // a column of type bool
)

func (n and) operands(do func(operand)) { each(n, do) }
func (n or) operands(do func(operand))  { each(n, do) }

func each(nodes []node, do func(operand)) {
	for _, n := range nodes {
		n.operands(do)
	}
}

func (n not) operands(do func(operand))     { n.of.operands(do) }
func (n isNull) operands(do func(operand))  { do(n.of) }
func (n compare) operands(do func(operand)) { do(n.left); do(n.right) }
func (n in) operands(do func(operand))      { do(n.left) }
func (n match) operands(do func(operand))   { do(n.left) }
func (n truth) operands(do func(operand))   { do(n.of) }

// operand is a column or a constant.
type operand struct {
	kind   operandKind
	text   string // a column's name, or a constant text
	number float64
	whole  int64 // of a number without point
	exact  bool  // whole is set
	truth  bool
	at     int // its place in the text
}

type operandKind int

const (
	columnOperand operandKind = iota
	textOperand
	numberOperand
	boolOperand
)

// Parse reads an expression. Errors: ErrInvalid, naming the character and what was
// expected there.
func Parse(text string) (*Expr, error) {
	switch {
	case len(text) > maxBytes:
		return nil, fmt.Errorf("%w: filter has %d bytes: use at most %d", azml.ErrInvalid, len(text), maxBytes)
	case !utf8.ValidString(text):
		return nil, fmt.Errorf("%w: filter is not UTF-8", azml.ErrInvalid)
	}
	p := parser{text: text}
	p.space()
	root, err := p.or(0)
	if err == nil && p.pos < len(text) {
		err = p.expected("AND, OR or the end")
	}
	if err != nil {
		return nil, err
	}
	return &Expr{root, text}, nil
}

// parser reads by recursive descent. Each method begins at a character that is no
// space and leaves the same.
type parser struct {
	text string
	pos  int
}

func (p *parser) fail(at int, format string, args ...any) error {
	return fmt.Errorf("%w: filter, column %d: %s", azml.ErrInvalid, utf8.RuneCountInString(p.text[:at])+1, fmt.Sprintf(format, args...))
}

func (p *parser) expected(what string) error {
	here := "the end"
	if rest := p.text[p.pos:]; rest != "" {
		end := strings.IndexFunc(rest, unicode.IsSpace)
		if end <= 0 {
			end = len(rest)
		}
		here = strconv.Quote(fmt.Sprintf("%.60s", rest[:end]))
	}
	return p.fail(p.pos, "expected %s, found %s", what, here)
}

func (p *parser) space() {
	p.pos = len(p.text) - len(strings.TrimLeftFunc(p.text[p.pos:], unicode.IsSpace))
}

func (p *parser) take(text string) bool {
	if !strings.HasPrefix(p.text[p.pos:], text) {
		return false
	}
	p.pos += len(text)
	p.space()
	return true
}

// word passes over the keyword in any case.
func (p *parser) word(keyword string) bool {
	end := p.pos + len(keyword)
	if end > len(p.text) || !strings.EqualFold(p.text[p.pos:end], keyword) {
		return false
	}
	if r, _ := utf8.DecodeRuneInString(p.text[end:]); end < len(p.text) && inName(r) {
		return false
	}
	p.pos = end
	p.space()
	return true
}

// inName tells whether a name that is not quoted may have the character.
func inName(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '_' || r == '.'
}

func (p *parser) or(depth int) (node, error) {
	terms, err := p.terms("OR", func() (node, error) { return p.and(depth) })
	if len(terms) == 1 {
		return terms[0], err
	}
	return or(terms), err
}

func (p *parser) and(depth int) (node, error) {
	terms, err := p.terms("AND", func() (node, error) { return p.term(depth) })
	if len(terms) == 1 {
		return terms[0], err
	}
	return and(terms), err
}

func (p *parser) terms(word string, read func() (node, error)) ([]node, error) {
	var terms []node
	for {
		n, err := read()
		if err != nil {
			return nil, err
		}
		if terms = append(terms, n); !p.word(word) {
			return terms, nil
		}
	}
}

func (p *parser) term(depth int) (node, error) {
	if depth > maxDepth {
		return nil, p.fail(p.pos, "more than %d parentheses and NOTs within each other", maxDepth)
	}
	switch {
	case p.word("NOT"):
		n, err := p.term(depth + 1)
		return not{n}, err
	case p.take("("):
		n, err := p.or(depth + 1)
		if err == nil && !p.take(")") {
			err = p.expected("AND, OR or )")
		}
		return n, err
	}
	return p.comparison()
}

// functions are those of a column and a text.
var functions = []string{"starts_with", "ends_with", "contains"}

func (p *parser) comparison() (node, error) {
	for _, name := range functions {
		begin := p.pos
		if p.word(name) {
			if p.take("(") {
				return p.call(name)
			}
			p.pos = begin // a column of that name
		}
	}
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	for _, op := range []string{"!=", "<=", ">=", "==", "<>", "=", "<", ">"} { // the longer ones first
		begin := p.pos
		if !p.take(op) {
			continue
		}
		if op == "==" || op == "<>" {
			return nil, p.fail(begin, "write = for equal and != for unequal")
		}
		right, err := p.operand()
		return compare{left, right, op}, err
	}
	return p.wordOp(left)
}

func (p *parser) call(name string) (node, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	if !p.take(",") {
		return nil, p.expected("a comma")
	}
	pattern, err := p.textValue()
	if err == nil && !p.take(")") {
		err = p.expected(")")
	}
	return match{left, pattern, name}, err
}

func (p *parser) textValue() (string, error) {
	o, err := p.operand()
	if err == nil && o.kind != textOperand {
		err = p.fail(o.at, "expected a text in quotes such as 'a'")
	}
	return o.text, err
}

// wordOp reads what is compared by a word, or nothing behind a column of type
// bool.
func (p *parser) wordOp(left operand) (node, error) {
	if p.word("IS") {
		negated := p.word("NOT")
		if !p.word("NULL") {
			return nil, p.expected("NULL or NOT NULL")
		}
		return negate(isNull{left}, negated), nil
	}
	negated := p.word("NOT")
	for _, name := range []string{"like", "ilike"} {
		if p.word(name) {
			pattern, err := p.textValue()
			return negate(match{left, pattern, name}, negated), err
		}
	}
	if p.word("IN") {
		values, err := p.list()
		return negate(in{left, values}, negated), err
	}
	if negated || left.kind != columnOperand && left.kind != boolOperand {
		return nil, p.expected("=, !=, <, <=, >, >=, LIKE, ILIKE, IN or IS NULL")
	}
	return truth{left}, nil
}

func negate(n node, negated bool) node {
	if negated {
		return not{n}
	}
	return n
}

func (p *parser) list() (values []operand, err error) {
	if !p.take("(") {
		return nil, p.expected("a list in parentheses")
	}
	for {
		o, err := p.operand()
		if err != nil {
			return nil, err
		}
		if o.kind == columnOperand {
			return nil, p.fail(o.at, "a list has values, not columns")
		}
		values = append(values, o)
		if p.take(")") {
			return values, nil
		}
		if !p.take(",") {
			return nil, p.expected(", or )")
		}
	}
}

func (p *parser) operand() (o operand, err error) {
	o.at = p.pos
	rest := p.text[p.pos:]
	switch {
	case rest == "":
		return o, p.expected("a column or a value")
	case p.word("TRUE"):
		o.kind, o.truth = boolOperand, true
	case p.word("FALSE"):
		o.kind = boolOperand
	case rest[0] == '\'' || rest[0] == '"':
		o.kind = textOperand
		o.text, err = p.quoted()
	case rest[0] == '`':
		o.text, err = p.quoted()
	case rest[0] >= '0' && rest[0] <= '9' || strings.IndexByte("+-.", rest[0]) >= 0:
		return p.number()
	default:
		end := strings.IndexFunc(rest, func(r rune) bool { return !inName(r) })
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return o, p.expected("a column or a value")
		}
		o.text = rest[:end]
		p.pos += end
		p.space()
	}
	return o, err
}

// quoted reads what is between quotes; a quote in it is doubled.
func (p *parser) quoted() (string, error) {
	begin, quote := p.pos, p.text[p.pos]
	var out strings.Builder
	for p.pos++; ; {
		end := strings.IndexByte(p.text[p.pos:], quote)
		if end < 0 {
			return "", p.fail(begin, "the %c that opens here is not closed", quote)
		}
		out.WriteString(p.text[p.pos : p.pos+end])
		if p.pos += end + 1; p.pos >= len(p.text) || p.text[p.pos] != quote {
			p.space()
			return out.String(), nil
		}
		out.WriteByte(quote)
		p.pos++
	}
}

func (p *parser) number() (operand, error) {
	o := operand{kind: numberOperand, at: p.pos}
	rest := p.text[p.pos:]
	end := strings.IndexFunc(rest, func(r rune) bool { return !strings.ContainsRune("0123456789+-.eE", r) })
	if end < 0 {
		end = len(rest)
	}
	var err error
	if o.number, err = strconv.ParseFloat(rest[:end], 64); err != nil {
		return o, p.expected("a number such as 0.5")
	}
	o.whole, err = strconv.ParseInt(rest[:end], 10, 64)
	o.exact = err == nil
	p.pos += end
	p.space()
	return o, nil
}

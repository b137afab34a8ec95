package mlflow

import (
	"bytes"
	"encoding/json"
	"math"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// decode reads a message as protobuf's JSON mapping has it, and as MLflow's
// server does: fields in snake_case or camelCase, but not both; unknown ones
// are passed over; whole numbers as numbers or strings, NaN and the infinities
// as strings; null is like absent. An empty body is {}, and an object inside a
// JSON string, as old clients send it, is that object.
func decode(data []byte, into any) error {
	data = bytes.Trim(data, jsonSpace)
	if len(data) == 0 {
		data = emptyAnswer
	}
	if !json.Valid(data) { // which bounds the depth, too
		return failf(codeBadRequest, "The body of the request is not valid JSON")
	}
	if data[0] == '"' {
		var inner string
		if err := json.Unmarshal(data, &inner); err != nil || !json.Valid([]byte(inner)) {
			return failf(codeBadRequest, "The body of the request is a string and no JSON object")
		}
		data = bytes.Trim([]byte(inner), jsonSpace)
	}
	if data[0] != '{' {
		return failf(codeBadRequest, "The body of the request is no JSON object")
	}
	v := reflect.ValueOf(into).Elem()
	s := scanner{data: data}
	return s.message(planOf(v.Type()), v)
}

// jsonSpace is what may stand around a value.
const jsonSpace = " \t\r\n"

// decodeQuery reads a message from the query of a URL, where a field that is a
// list is there once for each element.
func decodeQuery(query url.Values, into any) error {
	v := reflect.ValueOf(into).Elem()
	p := planOf(v.Type())
	var seen fieldSet
	for i, f := range p.fields {
		for _, value := range query[f.name] {
			if !utf8.ValidString(value) {
				return invalid("The parameter '%s' is not UTF-8", f.name)
			}
			quoted := scanner{data: quote(value), path: []place{{name: f.name}}}
			if f.list {
				element := reflect.New(v.FieldByIndex(f.index).Type().Elem()).Elem()
				if err := quoted.value(f, element); err != nil {
					return err
				}
				v.FieldByIndex(f.index).Set(reflect.Append(v.FieldByIndex(f.index), element))
			} else if err := quoted.value(f, target(v.FieldByIndex(f.index))); err != nil {
				return err
			}
			seen.put(i, value != "")
			if !f.list {
				break
			}
		}
	}
	return p.complete(seen, nil)
}

// quote writes a string as JSON.
func quote(s string) []byte {
	data, _ := json.Marshal(s) // strings always encode
	return data
}

// target gives the value that a field's content goes into, behind a pointer if
// it is one.
func target(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Pointer {
		return v
	}
	v.Set(reflect.New(v.Type().Elem()))
	return v.Elem()
}

// scanner reads JSON that is known to be valid.
type scanner struct {
	data []byte
	pos  int
	path []place // of the value that is being read, from the outside
}

// peek gives the next byte that is no space.
func (s *scanner) peek() byte {
	for s.pos < len(s.data) {
		switch b := s.data[s.pos]; b {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return b
		}
	}
	return 0
}

// message reads an object into a struct.
func (s *scanner) message(p *plan, into reflect.Value) error {
	var seen, snake, other fieldSet // other: spelled in another way than snake_case
	s.pos++                         // {
	for guess := 0; s.peek() != '}'; {
		if s.data[s.pos] == ',' {
			s.pos++
			s.peek()
		}
		name := s.bytes()
		s.peek()
		s.pos++ // :
		first := s.peek()
		i, known := p.find(name, guess)
		guess = i + 1
		if !known || first == 'n' {
			s.skip()
			continue
		}
		f := p.fields[i]
		spelled := &other
		if string(name) == f.name {
			spelled = &snake
		}
		if spelled.put(i, true); snake.has(i) && other.has(i) {
			return invalid("Request specifies both '%s' and '%s'; provide only one of them.", f.name, f.camel)
		}
		s.path = append(s.path, place{name: f.name})
		set, err := s.field(f, into.FieldByIndex(f.index))
		if err != nil {
			return err
		}
		s.path = s.path[:len(s.path)-1]
		seen.put(i, set)
	}
	s.pos++ // }
	return p.complete(seen, s.path)
}

// field reads one field's value. set is false for an empty string, which MLflow
// takes as absent where a value is required.
func (s *scanner) field(f *field, into reflect.Value) (set bool, err error) {
	if !f.list {
		before := s.pos
		err := s.value(f, target(into))
		return string(s.data[before:s.pos]) != `""`, err
	}
	if s.peek() != '[' {
		return false, s.wrongType()
	}
	s.pos++
	into.SetLen(0)
	for n := 0; s.peek() != ']'; n++ {
		if s.data[s.pos] == ',' {
			s.pos++
			s.peek()
		}
		into.Grow(1)
		into.SetLen(n + 1)
		element := into.Index(n)
		element.SetZero() // it may be of an earlier list of the same field
		s.path = append(s.path, place{index: n})
		if err := s.value(f, element); err != nil {
			return false, err
		}
		s.path = s.path[:len(s.path)-1]
	}
	s.pos++
	return true, nil
}

// value reads one value that is no list.
func (s *scanner) value(f *field, into reflect.Value) error {
	first := s.peek()
	isText := first == '"'
	isNumber := first == '-' || first >= '0' && first <= '9'
	switch {
	case f.kind == kindMessage && first == '{':
		return s.message(f.message, into)
	case f.kind == kindString && isText:
		into.SetString(s.text())
		return nil
	case f.kind == kindBool && (isText || first == 't' || first == 'f'):
		return s.boolean(into)
	case f.kind == kindEnum && (isText || isNumber):
		return s.enum(f, into)
	case f.kind == kindInt && (isText || isNumber):
		return s.integer(into)
	case f.kind == kindFloat && (isText || isNumber):
		return s.float(into)
	}
	return s.wrongType()
}

func (s *scanner) enum(f *field, into reflect.Value) error {
	start := s.pos
	word := string(s.word())
	number, err := strconv.Atoi(word)
	for i, name := range f.enum {
		if name == word || err == nil && number == i+f.first {
			into.SetString(name)
			return nil
		}
	}
	s.pos = start
	return invalid("Invalid value %s for parameter '%s' supplied: use one of %s", s.raw(), inWhich(s.path), strings.Join(f.enum, ", "))
}

// boolean reads true or false, as a string in any case: R sends "TRUE", and a
// query has nothing else.
func (s *scanner) boolean(into reflect.Value) error {
	start := s.pos
	word := string(s.word())
	yes := strings.EqualFold(word, "true")
	if !yes && !strings.EqualFold(word, "false") {
		s.pos = start
		return s.wrongType()
	}
	into.SetBool(yes)
	return nil
}

func (s *scanner) integer(into reflect.Value) error {
	start := s.pos
	word := s.word()
	n, err := strconv.ParseInt(string(word), 10, 64)
	if err != nil { // 1.0 and 1e3 are whole numbers, too
		var f float64
		if f, err = strconv.ParseFloat(string(word), 64); err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<63 {
			n = int64(f)
		} else {
			s.pos = start
			return s.wrongType()
		}
	}
	if into.OverflowInt(n) {
		s.pos = start
		return s.wrongType()
	}
	into.SetInt(n)
	return nil
}

func (s *scanner) float(into reflect.Value) error {
	start := s.pos
	word := s.word()
	f, err := strconv.ParseFloat(string(word), 64)
	if err != nil && math.IsInf(f, 0) {
		err = nil // beyond the range: infinite, as Python has it
	}
	if err != nil || bytes.ContainsAny(word, "xX_") {
		s.pos = start
		return s.wrongType()
	}
	into.SetFloat(f)
	return nil
}

// word gives a string's content or a number's digits.
func (s *scanner) word() []byte {
	if s.peek() == '"' {
		return s.bytes()
	}
	return s.raw()
}

// text reads a string.
func (s *scanner) text() string { return string(s.bytes()) }

// bytes reads a string, whose bytes may be those of the message.
func (s *scanner) bytes() []byte {
	start := s.pos
	plain := true
	for s.pos++; s.data[s.pos] != '"'; s.pos++ {
		switch b := s.data[s.pos]; {
		case b == '\\':
			plain = false
			s.pos++
		case b >= 0x80:
			plain = false // encoding/json mends what is no UTF-8
		}
	}
	s.pos++
	if plain {
		return s.data[start+1 : s.pos-1]
	}
	var out string
	_ = json.Unmarshal(s.data[start:s.pos], &out) // it is valid
	return []byte(out)
}

// skip passes over one value.
func (s *scanner) skip() {
	depth := 0
	for {
		switch s.peek() {
		case '"':
			for s.pos++; s.data[s.pos] != '"'; s.pos++ {
				if s.data[s.pos] == '\\' {
					s.pos++
				}
			}
			s.pos++
		case '{', '[':
			depth++
			s.pos++
		case '}', ']':
			depth--
			s.pos++
		case ',', ':':
			s.pos++
		default:
			for s.pos < len(s.data) && !endsWord(s.data[s.pos]) {
				s.pos++
			}
		}
		if depth == 0 {
			return
		}
	}
}

// endsWord tells whether a byte stands behind a number, true, false or null.
func endsWord(b byte) bool {
	switch b {
	case ' ', '\t', '\r', '\n', ',', ':', ']', '}':
		return true
	}
	return false
}

// raw passes over one value and gives its bytes.
func (s *scanner) raw() []byte {
	s.peek()
	start := s.pos
	s.skip()
	return s.data[start:s.pos]
}

// wrongType is MLflow's error for a value of another type, with Python's name of
// the type.
func (s *scanner) wrongType() error {
	first := s.peek()
	value := string(s.raw())
	const longest = 200
	if len(value) > longest {
		value = strings.ToValidUTF8(value[:longest], "") + "…"
	}
	types := map[byte]string{'"': "str", '{': "dict", '[': "list", 't': "bool", 'f': "bool", 'n': "NoneType"}
	name := types[first]
	if name == "" {
		name = "int"
		if strings.ContainsAny(value, ".eE") {
			name = "float"
		}
	}
	return invalid("Invalid value %s for parameter '%s' supplied:  Hint: Value was of type '%s'. "+
		"See the API docs for more information about request parameters.", value, inWhich(s.path), name)
}

// place is where a value stands in what is above it: in a field of a message, or
// among the elements of a list.
type place struct {
	name  string // empty for an element
	index int
}

// inWhich gives a path as MLflow names it, such as "metrics[3].key".
func inWhich(path []place) string {
	var b strings.Builder
	for _, p := range path {
		switch {
		case p.name == "":
			b.WriteString("[" + strconv.Itoa(p.index) + "]")
			continue
		case b.Len() > 0:
			b.WriteByte('.')
		}
		b.WriteString(p.name)
	}
	return b.String()
}

// missing is MLflow's error for a field that must be there.
func missing(path string) error {
	return invalid("Missing value for required parameter '%s'. See the API docs for more information about request parameters.", path)
}

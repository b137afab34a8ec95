package mlflow

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// plan says how a message is read into its struct.
type plan struct {
	fields []*field       // not more than a fieldSet holds
	byName map[string]int // both spellings
}

// fieldSet is a set of fields of a message, by their places in its plan.
type fieldSet uint64

func (s *fieldSet) put(i int, in bool) {
	if in {
		*s |= 1 << i
	} else {
		*s &^= 1 << i
	}
}

func (s *fieldSet) has(i int) bool { return *s&(1<<i) != 0 }

// field is one field of a message.
type field struct {
	name, camel string
	index       []int
	required    bool
	list        bool
	kind        kind
	enum        []string // the names of its values
	first       int      // the number of the first of them
	message     *plan
}

// kind is what a field holds.
type kind int

const (
	kindString kind = iota + 1
	kindInt
	kindFloat
	kindBool
	kindEnum
	kindMessage
)

// enumeration is a string type with fixed values. Their numbers count from 1, or
// from 0 when the first one says that nothing was specified.
type enumeration interface{ names() []string }

var plans sync.Map // of reflect.Type and *plan

// planOf reads a struct's tags: `json:"name"` names a field as the client does,
// `need:"true"` says that it must be there. Embedded structs are flattened; a
// pointer is a field of which absent and zero differ.
func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{byName: map[string]int{}}
	p.add(t, nil)
	kept, _ := plans.LoadOrStore(t, p)
	return kept.(*plan)
}

func (p *plan) add(t reflect.Type, above []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		index := append(append([]int{}, above...), i)
		if sf.Anonymous {
			p.add(sf.Type, index)
			continue
		}
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		f := &field{name: name, camel: camel(name), index: index, required: sf.Tag.Get("need") == "true"}
		f.setType(sf.Type)
		p.byName[f.name], p.byName[f.camel] = len(p.fields), len(p.fields)
		if p.fields = append(p.fields, f); len(p.fields) > 64 {
			panic(fmt.Sprintf("mlflow: %s has more than 64 fields", t))
		}
	}
}

func (f *field) setType(t reflect.Type) {
	if t.Kind() == reflect.Slice {
		f.list, t = true, t.Elem()
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if e, ok := reflect.Zero(t).Interface().(enumeration); ok {
		f.kind, f.enum, f.first = kindEnum, e.names(), 1
		if strings.HasSuffix(f.enum[0], "_UNSPECIFIED") {
			f.first = 0
		}
		return
	}
	switch t.Kind() {
	case reflect.String:
		f.kind = kindString
	case reflect.Int64, reflect.Int32:
		f.kind = kindInt
	case reflect.Float64:
		f.kind = kindFloat
	case reflect.Bool:
		f.kind = kindBool
	case reflect.Struct:
		f.kind, f.message = kindMessage, planOf(t)
	default:
		panic(fmt.Sprintf("mlflow: no field of a message can be of type %s", t))
	}
}

// camel gives protobuf's JSON name of a field.
func camel(name string) string {
	parts := strings.Split(name, "_")
	for i, part := range parts {
		if i > 0 && part != "" {
			parts[i] = strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return strings.Join(parts, "")
}

// find finds a field by either of its names. It looks at a guess first: most
// clients send fields in MLflow's order.
func (p *plan) find(name []byte, guess int) (i int, known bool) {
	if guess < len(p.fields) && p.fields[guess].name == string(name) {
		return guess, true
	}
	i, known = p.byName[string(name)]
	return i, known
}

// complete gives MLflow's error when a required field was not there.
func (p *plan) complete(seen fieldSet, path []place) error {
	for i, f := range p.fields {
		if f.required && !seen.has(i) {
			return missing(inWhich(append(slices.Clip(path), place{name: f.name})))
		}
	}
	return nil
}

package runconfig

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/azml-go/azml"
)

// Limits of a file, far above real ones, so that YAML's aliases can't make a
// small file a huge value.
const (
	maxBytes = 1 << 20
	maxNodes = 100_000
	maxDepth = 64
)

// decoder fills the typed structs from YAML nodes, collecting all problems.
type decoder struct {
	file     string
	nodes    int
	depth    int
	problems []string
	warnings []string
}

// document reads one YAML document into a mapping node.
func (d *decoder) document(data []byte) (*yaml.Node, error) {
	if len(data) > maxBytes {
		return nil, fmt.Errorf("%w: %s: larger than %d bytes", azml.ErrInvalid, d.file, maxBytes)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", azml.ErrInvalid, d.file, err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%w: %s: a mapping of keys is expected", azml.ErrInvalid, d.file)
	}
	return doc.Content[0], nil
}

func (d *decoder) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", azml.ErrInvalid, strings.Join(d.problems, "; "))
}

func (d *decoder) fail(n *yaml.Node, key, want string) {
	at := fmt.Sprintf("%s:%d: ", d.file, n.Line)
	if key != "" {
		at += key + ": "
	}
	d.problems = append(d.problems, at+want)
}

// value reads a node into v, which holds its default already.
func (d *decoder) value(n *yaml.Node, key string, v reflect.Value) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.nodes++
	d.depth++
	defer func() { d.depth-- }()
	if d.nodes == maxNodes || d.depth > maxDepth {
		d.fail(n, key, "the file is too large or too deep")
		d.nodes = maxNodes
	}
	if d.nodes >= maxNodes || isNull(n) {
		return
	}
	switch v.Addr().Interface().(type) {
	case *Environment:
		d.environment(n, key, v)
	case *Command:
		d.command(n, key, v)
	case *CondaText:
		d.conda(n, key, v)
	default:
		d.kind(n, key, v)
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// kind reads by the Go type of v.
func (d *decoder) kind(n *yaml.Node, key string, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		d.scalar(n, key, "a text", func(text string) bool { v.SetString(text); return true })
	case reflect.Bool:
		d.scalar(n, key, "true or false", func(text string) bool {
			v.SetBool(strings.EqualFold(text, "true"))
			return v.Bool() || strings.EqualFold(text, "false")
		})
	case reflect.Int:
		d.scalar(n, key, "a whole number", func(text string) bool {
			number, err := strconv.ParseInt(text, 10, 32)
			v.SetInt(number)
			return err == nil
		})
	case reflect.Slice:
		d.slice(n, key, v)
	case reflect.Map:
		d.mapping(n, key, v)
	case reflect.Struct:
		d.structure(n, key, v)
	case reflect.Pointer:
		v.Set(fresh(v.Type().Elem()).Addr())
		d.value(n, key, v.Elem())
	case reflect.Interface:
		d.free(n, key, v)
	default:
		panic("runconfig: no reading of " + v.Type().String())
	}
}

// fresh makes a value with its type's defaults.
func fresh(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	if section, ok := v.Interface().(defaulter); ok {
		section.setDefaults()
	}
	return v.Elem()
}

// scalar hands the node's text to set, which tells whether it fits.
func (d *decoder) scalar(n *yaml.Node, key, want string, set func(string) bool) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!binary" || !set(n.Value) {
		d.fail(n, key, want+" is expected")
	}
}

func (d *decoder) slice(n *yaml.Node, key string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.fail(n, key, "a list such as [a, b] is expected")
		return
	}
	out := reflect.MakeSlice(v.Type(), 0, len(n.Content))
	for i, item := range n.Content {
		element := fresh(v.Type().Elem())
		d.value(item, fmt.Sprintf("%s[%d]", key, i), element)
		out = reflect.Append(out, element)
	}
	v.Set(out)
}

// mapping reads a mapping whose keys are the user's own.
func (d *decoder) mapping(n *yaml.Node, key string, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, key, "a mapping of names is expected")
		return
	}
	out := reflect.MakeMap(v.Type())
	d.pairs(n, key, func(name, value *yaml.Node) {
		element := fresh(v.Type().Elem())
		d.value(value, key+"."+name.Value, element)
		if out.MapIndex(reflect.ValueOf(name.Value)).IsValid() {
			d.fail(name, key+"."+name.Value, "is there twice")
		}
		out.SetMapIndex(reflect.ValueOf(name.Value), element)
	})
	v.Set(out)
}

// pairs calls each for every pair with a scalar key.
func (d *decoder) pairs(n *yaml.Node, key string, each func(name, value *yaml.Node)) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Kind != yaml.ScalarNode {
			d.fail(n.Content[i], key, "a plain key is expected")
			continue
		}
		each(n.Content[i], n.Content[i+1])
	}
}

// structure reads the known keys and warns of others.
func (d *decoder) structure(n *yaml.Node, key string, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, key, "a mapping of keys is expected")
		return
	}
	known := fields(v.Type())
	var seen []string
	d.pairs(n, key, func(name, value *yaml.Node) {
		full := strings.TrimPrefix(key+"."+name.Value, ".")
		at := slices.IndexFunc(known, func(f field) bool { return normalKey(f.name) == normalKey(name.Value) })
		switch {
		case at < 0:
			d.warnings = append(d.warnings, fmt.Sprintf("%s:%d: unknown key %s is ignored", d.file, name.Line, full))
		case slices.Contains(seen, known[at].name):
			d.fail(name, full, "is there twice")
		default:
			seen = append(seen, known[at].name)
			d.value(value, full, v.Field(known[at].index))
		}
	})
}

// field is a field of a struct that stands in the file.
type field struct {
	index int
	name  string
	null  bool // zero is written as null
}

func fields(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("rc"), ",")
		if name != "-" {
			out = append(out, field{index: i, name: name, null: option == "null"})
		}
	}
	return out
}

// normalKey is the form in which camelCase, snake_case and Title_Case are equal.
func normalKey(key string) string {
	return strings.ToLower(strings.ReplaceAll(key, "_", ""))
}

// free reads a value of any shape: texts, whole numbers, floats, booleans,
// lists and mappings with text keys.
func (d *decoder) free(n *yaml.Node, key string, v reflect.Value) {
	switch n.Kind {
	case yaml.MappingNode:
		m := reflect.New(reflect.TypeFor[map[string]any]()).Elem()
		d.mapping(n, key, m)
		v.Set(m)
	case yaml.SequenceNode:
		list := reflect.New(reflect.TypeFor[[]any]()).Elem()
		d.slice(n, key, list)
		v.Set(list)
	default:
		v.Set(reflect.ValueOf(freeScalar(n)))
	}
}

func freeScalar(n *yaml.Node) any {
	switch n.Tag {
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int":
		if number, err := strconv.Atoi(n.Value); err == nil {
			return number
		}
	case "!!float":
		if number, err := strconv.ParseFloat(n.Value, 64); err == nil && !math.IsNaN(number) && !math.IsInf(number, 0) {
			return number
		}
	}
	return n.Value
}

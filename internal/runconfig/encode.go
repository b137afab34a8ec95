package runconfig

import (
	"bytes"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// encode writes a value as a YAML node, keys in the order of the fields.
func encode(v reflect.Value) (*yaml.Node, error) {
	if command, ok := v.Interface().(Command); ok {
		if len(command.Words) > 0 {
			return encode(reflect.ValueOf(command.Words))
		}
		return encode(reflect.ValueOf(command.Line))
	}
	switch v.Kind() {
	case reflect.Struct:
		return encodeStruct(v)
	case reflect.Pointer:
		if v.IsNil() {
			return null(), nil
		}
		return encode(v.Elem())
	case reflect.Map:
		return encodeMap(v)
	case reflect.Slice:
		return encodeSlice(v)
	default:
		n := &yaml.Node{}
		return n, n.Encode(v.Interface())
	}
}

func null() *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"} }

func encodeStruct(v reflect.Value) (*yaml.Node, error) {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fields(v.Type()) {
		value := v.Field(f.index)
		n := null()
		if !f.null || !value.IsZero() {
			var err error
			if n, err = encode(value); err != nil {
				return nil, err
			}
		}
		out.Content = append(out.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: f.name}, n)
	}
	return out, nil
}

func encodeMap(v reflect.Value) (*yaml.Node, error) {
	out := &yaml.Node{Kind: yaml.MappingNode}
	if v.Len() == 0 {
		out.Style = yaml.FlowStyle
	}
	names := v.MapKeys()
	slices.SortFunc(names, func(a, b reflect.Value) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
	for _, name := range names {
		key, err := encode(name)
		if err != nil {
			return nil, err
		}
		value, err := encode(v.MapIndex(name))
		if err != nil {
			return nil, err
		}
		out.Content = append(out.Content, key, value)
	}
	return out, nil
}

func encodeSlice(v reflect.Value) (*yaml.Node, error) {
	out := &yaml.Node{Kind: yaml.SequenceNode}
	if v.Len() == 0 {
		out.Style = yaml.FlowStyle
	}
	for i := range v.Len() {
		n, err := encode(v.Index(i))
		if err != nil {
			return nil, err
		}
		out.Content = append(out.Content, n)
	}
	return out, nil
}

// format writes a node as text.
func format(n *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(n); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

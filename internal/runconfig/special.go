package runconfig

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// environment reads an environment object, a reference of name and version
// alone, a conda file's content, or a path.
func (d *decoder) environment(n *yaml.Node, key string, v reflect.Value) {
	env := v.Addr().Interface().(*Environment)
	switch {
	case n.Kind == yaml.ScalarNode:
		d.scalar(n, key, "a path, or an environment", func(text string) bool {
			env.File = text
			return text != ""
		})
	case hasKey(n, "dependencies"):
		d.conda(n, key, reflect.ValueOf(&env.Python.CondaDependencies).Elem())
		d.scalarAt(n, "name", &env.Name)
	default:
		d.structure(n, key, v)
		env.Reference = isReference(n)
	}
}

// scalarAt reads one text of a mapping.
func (d *decoder) scalarAt(n *yaml.Node, name string, to *string) {
	d.pairs(n, name, func(key, value *yaml.Node) {
		if key.Value == name && !isNull(value) {
			d.value(value, name, reflect.ValueOf(to).Elem())
		}
	})
}

func hasKey(n *yaml.Node, key string) bool {
	if n.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if normalKey(n.Content[i].Value) == normalKey(key) {
			return true
		}
	}
	return false
}

// isReference tells a reference by its keys: a name, and a version at most.
func isReference(n *yaml.Node) bool {
	if n.Kind != yaml.MappingNode || !hasKey(n, "name") {
		return false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := normalKey(n.Content[i].Value); key != "name" && key != "version" {
			return false
		}
	}
	return true
}

// command reads a line or a list of words.
func (d *decoder) command(n *yaml.Node, key string, v reflect.Value) {
	command := v.Addr().Interface().(*Command)
	if n.Kind == yaml.SequenceNode {
		d.slice(n, key, reflect.ValueOf(&command.Words).Elem())
		return
	}
	d.scalar(n, key, "a line or a list of words", func(text string) bool { command.Line = text; return true })
}

// conda reads a conda file that stands inside the configuration.
func (d *decoder) conda(n *yaml.Node, key string, v reflect.Value) {
	// Reading it freely first bounds what aliases can blow up.
	free := reflect.New(reflect.TypeFor[map[string]any]()).Elem()
	before := len(d.problems)
	d.mapping(n, key, free)
	if len(d.problems) > before {
		return
	}
	text, err := yaml.Marshal(free.Interface())
	if err != nil {
		d.fail(n, key, "a conda environment is expected")
		return
	}
	v.SetString(string(text))
}

// legacy tells the format that the SDK wrote before it had environments.
func legacy(n *yaml.Node) bool {
	return !hasKey(n, "environment") && !hasKey(n, "history") &&
		(hasKey(n, "ArgumentVector") || hasKey(n, "CondaDependenciesFile") || hasKey(n, "TrackedRun"))
}

// cleanPath writes a path of the file with slashes.
func cleanPath(path string) string { return strings.ReplaceAll(path, `\`, "/") }

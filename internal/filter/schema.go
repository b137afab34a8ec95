package filter

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/azml-go/azml"
)

// Schema says what a kind of thing can be searched for. It is not changed once
// in use, and then safe for concurrent use.
type Schema struct {
	// Attributes are the names and types of the attributes.
	Attributes map[string]Type
	// Aliases are other names of attributes.
	Aliases map[string]string
	// Entities are those that there are beside attributes.
	Entities []Entity
	// UnequalMissing makes != true for a tag that is missing, as MLflow's model
	// registry has it.
	UnequalMissing bool
	// Order comes after the orders that are asked for. What is equal in that, too,
	// goes by its ID.
	Order []Order
}

// entities are the names of entities.
var entities = map[string]Entity{
	"attribute": Attribute, "attributes": Attribute, "attr": Attribute, "run": Attribute,
	"metric": Metric, "metrics": Metric,
	"param": Param, "params": Param, "parameter": Param, "parameters": Param,
	"tag": Tag, "tags": Tag,
	"property": Property, "properties": Property,
	"dataset": Dataset, "datasets": Dataset,
}

// types are the types of fields that are no attributes.
var types = map[Entity]Type{Metric: Number, Param: Text, Tag: Text, Property: Text, Dataset: Text}

// field finds what is named by entity and key; an empty entity means an
// attribute.
func (s *Schema) field(entity, key string) (Field, error) {
	e := Attribute
	if entity != "" {
		var known bool
		if e, known = entities[entity]; !known || e != Attribute && !slices.Contains(s.Entities, e) {
			return Field{}, fmt.Errorf("%q is no kind of field: use %s", short(entity), s.entityNames())
		}
	}
	if e != Attribute {
		if key == "" {
			return Field{}, fmt.Errorf("%s. needs a name behind it", e)
		}
		if e == Dataset && !slices.Contains(DatasetKeys, key) {
			return Field{}, fmt.Errorf("there is no %s.%q: use %s", e, short(key), strings.Join(DatasetKeys, ", "))
		}
		return Field{e, key, types[e]}, nil
	}
	if alias, ok := s.Aliases[key]; ok {
		key = alias
	}
	t, known := s.Attributes[key]
	if !known {
		return Field{}, fmt.Errorf("there is no attribute %q: use %s%s", short(key), strings.Join(slices.Sorted(maps.Keys(s.Attributes)), ", "), s.others())
	}
	return Field{Attribute, key, t}, nil
}

// Attribute gives the field of an attribute of the schema.
func (s *Schema) Attribute(name string) Field { return Field{Attribute, name, s.Attributes[name]} }

func (s *Schema) entityNames() string {
	names := []string{string(Attribute)}
	for _, e := range s.Entities {
		names = append(names, string(e))
	}
	return strings.Join(names, ", ")
}

// others names the other things that can be meant.
func (s *Schema) others() string {
	var names []string
	for _, e := range s.Entities {
		names = append(names, string(e)+".NAME")
	}
	if len(names) == 0 {
		return ""
	}
	return ", or " + strings.Join(names, ", ")
}

// short cuts what goes into an error text.
func short(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", azml.ErrInvalid, fmt.Sprintf(format, args...))
}

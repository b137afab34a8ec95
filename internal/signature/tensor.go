package signature

import (
	"fmt"
	"strings"

	"github.com/azml-go/azml/internal/record"
)

// tensors checks a body that stands for one tensor, or for several by name.
func (c checker) tensors(value any) error {
	value, by := unwrap(value)
	switch v := value.(type) {
	case []any:
		if len(c.fields) == 1 && !records(v) {
			return c.tensor(c.fields[0], v)
		}
		return c.instances(v)
	case map[string]any:
		if by == "" && !c.named(v) {
			return nil // a form of its own
		}
		for _, f := range c.fields {
			tensor, there := v[f.Name]
			if !there && !f.Optional {
				return fmt.Errorf("the tensor %q is missing", f.Name)
			}
			if there {
				if err := c.tensor(f, tensor); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// records tells whether a list is one of objects.
func records(list []any) bool {
	if len(list) == 0 {
		return false
	}
	_, is := list[0].(map[string]any)
	return is
}

// instances checks a list of objects, each with one row of every tensor.
func (c checker) instances(list []any) error {
	for i, item := range list {
		object, is := item.(map[string]any)
		if !is {
			return fmt.Errorf("row %d: %s stands where an object of tensors belongs", i+1, shown(item))
		}
		for _, f := range c.fields {
			tensor, there := object[f.Name]
			if !there {
				if f.Optional {
					continue
				}
				return fmt.Errorf("row %d: the tensor %q is missing", i+1, f.Name)
			}
			row := f
			if len(f.Shape) > 0 {
				row.Shape = f.Shape[1:]
			}
			if err := c.tensor(row, tensor); err != nil {
				return fmt.Errorf("row %d: %w", i+1, err)
			}
		}
	}
	return nil
}

// tensor holds a value against a tensor's shape and type.
func (c checker) tensor(f record.SignatureField, value any) error {
	lengths := make([]int, len(f.Shape))
	copy(lengths, f.Shape)
	if err := fill(lengths, 0, f.Type, value); err != nil {
		name := ""
		if f.Name != "" {
			name = fmt.Sprintf("tensor %q: ", f.Name)
		}
		return fmt.Errorf("%s%w; the model takes %s of shape %v", name, err, f.Type, f.Shape)
	}
	return nil
}

// fill holds one dimension against its length, which the first value decides where
// any is allowed: all others must be as long.
func fill(lengths []int, at int, kind string, value any) error {
	list, isList := value.([]any)
	if at == len(lengths) {
		if isList {
			return fmt.Errorf("it has more than %d dimensions", len(lengths))
		}
		return element(kind, value)
	}
	if !isList {
		return fmt.Errorf("%s stands where a list belongs, in dimension %d", shown(value), at+1)
	}
	if lengths[at] == -1 {
		lengths[at] = len(list)
	}
	if len(list) != lengths[at] {
		return fmt.Errorf("dimension %d has %d values and not %d", at+1, len(list), lengths[at])
	}
	for _, inner := range list {
		if err := fill(lengths, at+1, kind, inner); err != nil {
			return err
		}
	}
	return nil
}

// element holds one value against a type of NumPy's.
func element(kind string, value any) error {
	fits := true
	switch {
	case strings.HasPrefix(kind, "float"):
		fits = value == nil || number(value, bitsOf(kind))
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		fits = whole(value, 65)
	case strings.HasPrefix(kind, "bool"):
		_, fits = value.(bool)
	case strings.HasPrefix(kind, "str"):
		_, fits = value.(string)
	}
	if !fits {
		return fmt.Errorf("%s is no %s", shown(value), kind)
	}
	return nil
}

package signature

import (
	"encoding/json"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/record"
)

// File is the file at the root of an MLflow model that describes it.
const File = "MLmodel"

// stored is a signature as MLflow writes it into the file MLmodel: each list as a
// text of JSON.
type stored struct {
	Signature struct {
		Inputs  string `yaml:"inputs"`
		Outputs string `yaml:"outputs"`
	} `yaml:"signature"`
}

// FromMLmodel reads the signature in a file MLmodel, nil when it has none. Errors:
// ErrInvalid.
func FromMLmodel(data []byte) (*record.Signature, error) {
	var s stored
	if err := yaml.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", azml.ErrInvalid, File, err)
	}
	inputs, err := fields([]byte(s.Signature.Inputs))
	if err != nil {
		return nil, fmt.Errorf("%s: inputs: %w", File, err)
	}
	outputs, err := fields([]byte(s.Signature.Outputs))
	if err != nil {
		return nil, fmt.Errorf("%s: outputs: %w", File, err)
	}
	if inputs == nil && outputs == nil {
		return nil, nil
	}
	return &record.Signature{Inputs: inputs, Outputs: outputs}, nil
}

// Parse reads a signature of JSON: an object with the lists "inputs" and
// "outputs", each as MLflow has it. Errors: ErrInvalid.
func Parse(data []byte) (*record.Signature, error) {
	var lists map[string]json.RawMessage
	if err := json.Unmarshal(data, &lists); err != nil {
		return nil, fmt.Errorf("%w: the signature is no JSON object: %w", azml.ErrInvalid, err)
	}
	var s record.Signature
	for name, list := range lists {
		found, err := fields(list)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		switch name {
		case "inputs":
			s.Inputs = found
		case "outputs":
			s.Outputs = found
		default:
			return nil, fmt.Errorf("%w: the signature has a list %q: there are inputs and outputs", azml.ErrInvalid, name)
		}
	}
	if err := Validate(&s); err != nil {
		return nil, err
	}
	return &s, nil
}

// field is one column or tensor as MLflow writes it.
type field struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Required *bool  `json:"required"`
	Optional *bool  `json:"optional"` // as older clients have it
	Tensor   *struct {
		DType string `json:"dtype"`
		Shape []int  `json:"shape"`
	} `json:"tensor-spec"`
}

// fields reads a list, which may also be a text that holds one.
func fields(data []byte) ([]record.SignatureField, error) {
	var text string
	if json.Unmarshal(data, &text) == nil {
		data = []byte(text)
	}
	if len(data) == 0 || string(data) == "null" {
		return nil, nil
	}
	var list []field
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%w: no list of columns or tensors: %w", azml.ErrInvalid, err)
	}
	out := make([]record.SignatureField, 0, len(list))
	for i, f := range list {
		known, err := f.read()
		if err != nil {
			return nil, fmt.Errorf("%w: entry %d: %w", azml.ErrInvalid, i+1, err)
		}
		out = append(out, known)
	}
	return out, nil
}

func (f field) read() (record.SignatureField, error) {
	out := record.SignatureField{Name: f.Name, Type: f.Type,
		Optional: f.Required != nil && !*f.Required || f.Optional != nil && *f.Optional}
	switch {
	case f.Type == "tensor" && f.Tensor == nil:
		return out, fmt.Errorf("a tensor without tensor-spec")
	case f.Type == "tensor":
		out.Type, out.Shape = f.Tensor.DType, f.Tensor.Shape
		if out.Shape == nil {
			out.Shape = []int{}
		}
	case !slices.Contains(columnTypes, f.Type):
		out.Type = anyType // lists, objects and maps, and what later clients know
	}
	return out, nil
}

// anyType is the type of what is not checked.
const anyType = "any"

// The types of columns.
var columnTypes = []string{"boolean", "integer", "long", "float", "double", "string", "binary", "datetime", anyType}

// Validate checks a signature that somebody has made by hand. Errors: ErrInvalid.
func Validate(s *record.Signature) error {
	for what, list := range map[string][]record.SignatureField{"inputs": s.Inputs, "outputs": s.Outputs} {
		names := map[string]bool{}
		for i, f := range list {
			switch {
			case f.Name == "" && f.Shape != nil && len(list) > 1:
				return fmt.Errorf("%w: %s: tensor %d has no name, and is not the only one", azml.ErrInvalid, what, i+1)
			case f.Name != "" && names[f.Name]:
				return fmt.Errorf("%w: %s: two fields have the name %q", azml.ErrInvalid, what, f.Name)
			case f.Shape == nil && !slices.Contains(columnTypes, f.Type):
				return fmt.Errorf("%w: %s: field %d: type %q: use one of %v", azml.ErrInvalid, what, i+1, f.Type, columnTypes)
			case (f.Shape == nil) != (list[0].Shape == nil):
				return fmt.Errorf("%w: %s: columns and tensors can't be mixed", azml.ErrInvalid, what)
			case slices.ContainsFunc(f.Shape, func(n int) bool { return n < -1 }):
				return fmt.Errorf("%w: %s: field %d: shape %v: give lengths, and -1 for any", azml.ErrInvalid, what, i+1, f.Shape)
			}
			names[f.Name] = true
		}
	}
	return nil
}

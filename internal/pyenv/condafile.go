package pyenv

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/azml-go/azml"
)

// condaFile is a conda environment file as it is written.
type condaFile struct {
	Name         string   `yaml:"name,omitempty"`
	Channels     []string `yaml:"channels,omitempty"`
	Dependencies []any    `yaml:"dependencies"`
}

// FormatConda writes the spec as a conda environment file of that name (which
// may be empty), so that ParseConda reads back a spec with the same hash, and
// conda makes the same environment. Errors: ErrInvalid for an invalid spec,
// ErrUnsupported for one that such a file can't express: a user managed one,
// or one with constraints.
func FormatConda(name string, spec Spec) ([]byte, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if spec.UserManaged || len(spec.Constraints) > 0 {
		return nil, fmt.Errorf("%w: a conda file can express neither a user managed environment nor constraints", azml.ErrUnsupported)
	}
	file := condaFile{Name: name, Channels: spec.Channels, Dependencies: []any{condaPython(spec.PythonVersion)}}
	for _, pkg := range spec.Conda {
		file.Dependencies = append(file.Dependencies, pkg)
	}
	if pip := append(append([]string{}, spec.PipOptions...), spec.Pip...); len(pip) > 0 {
		file.Dependencies = append(file.Dependencies, "pip", map[string][]string{"pip": pip})
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(file); err != nil {
		return nil, fmt.Errorf("%w: conda file: %w", azml.ErrInvalid, err)
	}
	return out.Bytes(), nil
}

// condaPython writes the Python version as a conda package.
func condaPython(version string) string {
	version = strings.Join(strings.Fields(version), "")
	if version == "" || strings.ContainsAny(version[:1], versionStarts) {
		return "python" + version
	}
	return "python=" + version
}

package environment

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/pyenv"
	"github.com/azml-go/azml/internal/record"
)

// DefaultName is the name under which an environment without one is registered.
const DefaultName = "default-environment"

// Spec describes an environment. The zero Spec is this machine's Python with
// nothing installed. A Spec with a Name and no content is a reference to what
// is registered under that name.
type Spec struct {
	// Name is the environment's name; DefaultName when empty. Names that begin
	// with "Microsoft" or "AzureML" are refused: they are Azure ML's own.
	Name string
	// Version asks for a certain version. With content, registering makes
	// exactly this version; without, it refers to it. Empty means the next or
	// the latest one.
	Version string
	// Description is free text of at most 5,000 characters.
	Description string
	// Tags are free labels.
	Tags map[string]string
	// Variables are environment variables for every process in the environment.
	Variables map[string]string
	// Python says which Python and which packages.
	Python Python
	// Docker says what image the environment is made in, on targets that run
	// containers.
	Docker Docker
}

// Docker is the image part of an environment, by Azure ML's names. At most one of
// its fields is set; with none, targets take their own image. Targets that run no
// containers refuse an environment that has one.
type Docker struct {
	// BaseImage is the image to begin with, such as "python:3.12-slim". The Python
	// part is installed into its Python.
	BaseImage string `json:"baseImage,omitempty"`
	// BaseDockerfile is the text of a Dockerfile, at most 64 KiB, that makes the
	// image to begin with. It can copy no files, as it has no folder.
	BaseDockerfile string `json:"baseDockerfile,omitempty"`
	// BuildContext is a folder with a Dockerfile that makes the image to begin with.
	// FromBuildContext reads one.
	BuildContext *BuildContext `json:"buildContext,omitempty"`
}

// Python is the Python part of an environment. The zero value is any Python 3
// with nothing installed.
type Python struct {
	// PythonVersion is the Python wanted: a prefix such as "3.11", or clauses
	// such as ">=3.9,<3.13". Empty is any.
	PythonVersion string `json:"version,omitempty"`
	// Pip are requirements as pip reads them, one each.
	Pip []string `json:"pip,omitempty"`
	// Constraints are requirements that only limit versions.
	Constraints []string `json:"constraints,omitempty"`
	// PipOptions are pip's options, one each, such as "--index-url https://…". A
	// password belongs into an environment variable, named as "${NAME}" in the URL.
	PipOptions []string `json:"pipOptions,omitempty"`
	// Conda are packages from conda, such as "cudatoolkit=11.8", without python and
	// pip. With some, the environment has a Python of its own.
	Conda []string `json:"conda,omitempty"`
	// Channels are where conda packages come from, names or URLs, the first one
	// preferred; conda-forge when there is none. A password belongs into an
	// environment variable, named as "${NAME}" in the URL.
	Channels []string `json:"channels,omitempty"`
	// UserManaged says that the interpreter and its packages are there already
	// and nothing is to be installed.
	UserManaged bool `json:"userManagedDependencies,omitempty"`
	// InterpreterPath is the interpreter of a user managed environment, a path
	// or a name on the PATH; "python" when empty.
	InterpreterPath string `json:"interpreterPath,omitempty"`
}

// FromRequirements reads a requirements file of pip. Files that it includes by
// -r or -c must lie in or below its folder. Errors: ErrNotFound, ErrInvalid
// naming the line.
func FromRequirements(name, path string) (_ Spec, err error) {
	defer core.Wrap(&err, "read requirements of", kind, name)
	data, err := os.ReadFile(path)
	if err != nil {
		return Spec{}, err
	}
	spec, err := pyenv.ParseRequirements(data, filepath.Dir(path))
	if err != nil {
		return Spec{}, fmt.Errorf("%s: %w", path, err)
	}
	return Spec{Name: name, Python: Python(spec)}, nil
}

// FromCondaFile reads a conda environment file (environment.yml). An empty
// name takes the file's own. Errors: ErrNotFound, ErrInvalid naming the line.
func FromCondaFile(name, path string) (_ Spec, err error) {
	defer core.Wrap(&err, "read conda file of", kind, name)
	data, err := os.ReadFile(path)
	if err != nil {
		return Spec{}, err
	}
	fileName, spec, err := pyenv.ParseConda(data, filepath.Dir(path))
	if err != nil {
		return Spec{}, fmt.Errorf("%s: %w", path, err)
	}
	if name == "" {
		name = fileName
	}
	return Spec{Name: name, Python: Python(spec)}, nil
}

// Reference refers to a registered environment; an empty version means the
// latest one.
func Reference(name, version string) Spec { return Spec{Name: name, Version: version} }

// IsReference tells whether the spec has a name and no content.
func (s Spec) IsReference() bool {
	return s.Name != "" && len(s.Variables) == 0 && s.Python.isZero() && s.Docker == (Docker{})
}

func (p Python) isZero() bool {
	return p.PythonVersion == "" && len(p.Pip) == 0 && len(p.Constraints) == 0 && len(p.PipOptions) == 0 &&
		len(p.Conda) == 0 && len(p.Channels) == 0 && !p.UserManaged && p.InterpreterPath == ""
}

// Hash gives the content hash of the Python and the Docker part, which names the
// environment on every machine. Name, version, spelling and order don't matter
// where they have no meaning.
func (s Spec) Hash() string {
	python := pyenv.Spec(s.Python).Hash()
	if s.Docker == (Docker{}) {
		return python
	}
	parts := []string{"azml.docker/1", python, s.Docker.BaseImage, s.Docker.BaseDockerfile}
	if c := s.Docker.BuildContext; c != nil {
		parts = append(parts, c.Hash, c.Dockerfile)
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:])
}

// Validate checks the spec and reports what is wrong with it. Errors:
// ErrInvalid.
func (s Spec) Validate() error {
	if s.Name != "" {
		if err := core.EnvironmentName.Check(s.Name); err != nil {
			return err
		}
	}
	for _, reserved := range []string{"Microsoft", "AzureML"} {
		if strings.HasPrefix(s.Name, reserved) {
			return fmt.Errorf("%w: environment name %q: names that begin with %q are Azure ML's own, choose another", azml.ErrInvalid, s.Name, reserved)
		}
	}
	if s.Version != "" {
		if err := core.EnvironmentVersion.Check(s.Version); err != nil {
			return err
		}
	}
	if err := core.CheckText("description", s.Description); err != nil {
		return err
	}
	if err := core.CheckLabels("tags", s.Tags); err != nil {
		return err
	}
	if err := CheckVariables(s.Variables); err != nil {
		return err
	}
	if err := s.Docker.validate(); err != nil {
		return err
	}
	return pyenv.Spec(s.Python).Validate()
}

// maxDockerfile is the greatest length of a Dockerfile's text.
const maxDockerfile = 64 << 10

func (d Docker) validate() error {
	switch {
	case d.BaseImage != "" && d.BaseDockerfile != "", d.BuildContext != nil && d.BaseImage+d.BaseDockerfile != "":
		return fmt.Errorf("%w: an environment begins with one of a base image, a Dockerfile and a build context", azml.ErrInvalid)
	case d.BuildContext != nil && d.BuildContext.folder == nil && d.BuildContext.Files == "":
		return fmt.Errorf("%w: a build context is one that FromBuildContext has read, or that of a registered environment", azml.ErrInvalid)
	case strings.ContainsFunc(d.BaseImage, func(r rune) bool { return r <= ' ' || r == 0x7f }) || strings.HasPrefix(d.BaseImage, "-"):
		return fmt.Errorf("%w: base image %q is no name of an image such as \"python:3.12-slim\"", azml.ErrInvalid, d.BaseImage)
	case len(d.BaseDockerfile) > maxDockerfile || !utf8.ValidString(d.BaseDockerfile):
		return fmt.Errorf("%w: a Dockerfile is UTF-8 text of at most %d bytes", azml.ErrInvalid, maxDockerfile)
	}
	return nil
}

// CheckVariables checks the names and values of environment variables. Errors:
// ErrInvalid.
func CheckVariables(variables map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(variables)) { // the first error is always the same
		value := variables[name]
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(value, "\x00") {
			return fmt.Errorf("%w: environment variable %q: names can't be empty or hold \"=\", and neither names nor values a NUL", azml.ErrInvalid, name)
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return fmt.Errorf("%w: environment variable %q: name or value is not UTF-8", azml.ErrInvalid, name)
		}
	}
	return nil
}

func (s Spec) record() record.Environment {
	return record.Environment{Name: s.Name, Version: s.Version, Description: s.Description, Tags: maps.Clone(s.Tags),
		Variables: maps.Clone(s.Variables), Python: record.Python(s.Python),
		Docker: s.Docker.record(), Hash: s.Hash()}
}

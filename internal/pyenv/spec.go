package pyenv

import (
	"fmt"
	"slices"
	"strings"

	"github.com/azml-go/azml"
)

// Spec says what a Python environment contains. The zero Spec asks for any
// Python 3 with nothing installed. A Spec is a plain value: copies share their
// slices, nothing in this package changes them.
type Spec struct {
	// PythonVersion is the Python wanted: a prefix such as "3.11" or "3.11.7",
	// or clauses such as ">=3.9,<3.13", all of which must hold. Empty is any.
	PythonVersion string
	// Pip are requirements as pip reads them, one each, such as
	// "numpy>=1.26,<3" or "pkg==1.0 --hash=sha256:…". Their order has no
	// meaning: pip resolves them together.
	Pip []string
	// Constraints are requirements that only limit versions and install
	// nothing, as in a constraints file of pip.
	Constraints []string
	// PipOptions are pip's options, one each, such as "--index-url https://…".
	// Their order is kept. A password belongs into an environment variable of
	// the machine, named as "${NAME}" in the URL, which pip fills in.
	PipOptions []string
	// Conda are packages from conda, without python and pip, such as
	// "cudatoolkit=11.8". With some, the environment has a Python of its own.
	Conda []string
	// Channels are where conda packages come from, names or URLs, the first one
	// preferred; conda-forge when there is none. "${NAME}" in a URL is the value
	// of that environment variable of the machine that makes the environment.
	Channels []string
	// UserManaged says that the interpreter and its packages are there already
	// and nothing is to be installed.
	UserManaged bool
	// InterpreterPath is the interpreter of a user managed environment, a path
	// or a name on the PATH; "python" when empty.
	InterpreterPath string
}

// Empty tells whether the spec asks for no packages, so that a base
// interpreter will do.
func (s Spec) Empty() bool {
	return len(s.Pip) == 0 && len(s.Conda) == 0
}

// String describes the spec in one line, with all credentials masked.
func (s Spec) String() string {
	if s.UserManaged {
		return "user managed Python " + s.interpreter()
	}
	version := s.PythonVersion
	if version == "" {
		version = "(any)"
	}
	text := fmt.Sprintf("Python %s, pip %q %q, constraints %q, conda %q, channels %q",
		version, s.Pip, s.PipOptions, s.Constraints, s.Conda, s.Channels)
	return newMasker(s, nil).mask(text)
}

// GoString is String, so that %#v shows no credentials either.
func (s Spec) GoString() string { return s.String() }

// Validate checks every part and reports all problems together. Errors:
// ErrInvalid.
func (s Spec) Validate() error {
	var p problems
	if _, err := parseVersions(s.PythonVersion); err != nil {
		p.add("Python version", err)
	}
	for _, line := range slices.Concat(s.Pip, s.Constraints) {
		_, err := parseRequirement(line)
		p.add("pip requirement", err)
	}
	for _, line := range s.PipOptions {
		p.add("pip option", checkOptionLine(line))
	}
	for _, pkg := range s.Conda {
		p.add("conda package", checkCondaPackage(pkg))
	}
	for _, channel := range s.Channels {
		p.add("conda channel", checkChannel(channel))
	}
	if s.UserManaged && !s.Empty() {
		p.add("user managed environment", fmt.Errorf("nothing is installed into it, so it can't list packages"))
	}
	if strings.ContainsAny(s.InterpreterPath, "\x00\n\r") {
		p.add("interpreter path", fmt.Errorf("%q has control characters", s.InterpreterPath))
	}
	return p.err()
}

// interpreter gives the interpreter of a user managed environment.
func (s Spec) interpreter() string {
	if s.InterpreterPath == "" {
		return "python"
	}
	return s.InterpreterPath
}

// problems collects what is wrong with a spec or a file, without credentials.
type problems []string

func (p *problems) add(where string, err error) {
	if err != nil {
		*p = append(*p, where+": "+urlWithUser.ReplaceAllString(err.Error(), "${1}"+masked+"@"))
	}
}

func (p problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", azml.ErrInvalid, strings.Join(p, "; "))
}

package pyenv

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/azml-go/azml"
)

// Env is a Python environment that is there. It is safe for concurrent use.
type Env struct {
	// Dir is the folder of the virtual or conda environment; empty when the
	// base interpreter or a user managed one is used as it is.
	Dir string
	// Python is the interpreter's path.
	Python string
	// Version is the interpreter's version such as "3.11.7"; empty when it was
	// not asked.
	Version string
	// Hash is the content hash of the spec.
	Hash string
	// Reused tells that nothing had to be built.
	Reused bool
	// BuildTime is how long the build took when it was done, zero when there
	// was nothing to build.
	BuildTime time.Duration

	tools map[string]string // environment of pip
}

// Environ gives base as a process needs it to run in the environment: the
// interpreter's folder is first on the PATH, so that "python" and the
// packages' scripts are the right ones; VIRTUAL_ENV is set, or CONDA_PREFIX and what
// scripts of conda packages set when an environment is activated;
// PYTHONHOME is gone; PYTHONUNBUFFERED is 1 unless base says otherwise, because
// a log that is read live needs each line at once. base is not changed.
func (e *Env) Environ(base map[string]string) map[string]string {
	env := maps.Clone(base)
	if env == nil {
		env = map[string]string{}
	}
	bin := filepath.Dir(e.Python)
	path := variableName(env, "PATH")
	if env[path] == "" {
		env[path] = bin
	} else {
		env[path] = bin + string(filepath.ListSeparator) + env[path]
	}
	for _, name := range []string{"PYTHONHOME", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV", "CONDA_PREFIX"} {
		delete(env, name)
	}
	if prefix := condaPrefix(e.Python); prefix != "" {
		maps.Copy(env, activated(prefix))
	} else if e.Dir != "" {
		env["VIRTUAL_ENV"] = e.Dir
	}
	if _, given := env["PYTHONUNBUFFERED"]; !given {
		env["PYTHONUNBUFFERED"] = "1"
	}
	return env
}

// Freeze lists the installed packages with their exact versions, as pip
// freeze does, for the provenance of a run. It starts one process. Errors:
// ErrUnsupported when the interpreter has no pip, and the error of ctx.
func (e *Env) Freeze(ctx context.Context) ([]string, error) {
	freeze := command{phase: "pip freeze", env: e.tools,
		args: []string{e.Python, "-I", "-m", "pip", "freeze", "--all", "--disable-pip-version-check", "--no-color"}}
	out, err := freeze.output(ctx)
	if ctx.Err() != nil {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: pip freeze of %s: %w", azml.ErrUnsupported, e.Python, err)
	}
	var packages []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			packages = append(packages, urlWithUser.ReplaceAllString(line, "$1"))
		}
	}
	return packages, nil
}

package pyenv

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/azml-go/azml"
)

// interpreter is a Python that was asked who it is.
type interpreter struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

// probeScript prints who the interpreter is; it runs on every Python 3.
const probeScript = `import json, sys; print(json.dumps({"path": sys.executable, "version": "%d.%d.%d" % sys.version_info[:3]}))`

// newest and oldest minor version of Python 3 that are looked for by name.
const (
	newestMinor = 20
	oldestMinor = 6
)

// findPython finds the interpreter to build with: the one named, else the
// first on the PATH that runs and fits. Errors: ErrNotFound, which says what
// was there; ErrInvalid for a version that can't be read.
func findPython(ctx context.Context, named, version string, env map[string]string) (interpreter, error) {
	clauses, err := parseVersions(version)
	if err != nil {
		return interpreter{}, fmt.Errorf("%w: Python version: %w", azml.ErrInvalid, err)
	}
	var found []string
	for _, name := range candidates(named, clauses) {
		path, err := lookPath(name, env)
		if err != nil {
			continue
		}
		python, err := probe(ctx, path, env)
		switch {
		case ctx.Err() != nil:
			return interpreter{}, err
		case err != nil:
			found = append(found, fmt.Sprintf("%s (does not run: %v)", path, err))
		case !allow(clauses, python.Version):
			found = append(found, fmt.Sprintf("%s (%s)", path, python.Version))
		default:
			return python, nil
		}
	}
	return interpreter{}, notFound(named, version, found)
}

// candidates lists the names to try, the likeliest first.
func candidates(named string, clauses []clause) []string {
	if named != "" {
		return []string{named}
	}
	names := []string{"python3", "python"}
	if prefix := prefixOf(clauses); prefix != "" {
		return slices.Insert(names, 0, "python"+prefix)
	}
	if len(clauses) > 0 {
		for minor := newestMinor; minor >= oldestMinor; minor-- {
			names = append(names, fmt.Sprintf("python3.%d", minor))
		}
	}
	return names
}

// probe asks an interpreter for its real path and version. Shims that choose
// an interpreter are thereby resolved once.
func probe(ctx context.Context, path string, env map[string]string) (interpreter, error) {
	var python interpreter
	out, err := command{phase: "asking " + path, args: []string{path, "-I", "-c", probeScript}, env: env}.output(ctx)
	if err != nil {
		return python, err
	}
	if err := json.Unmarshal(out, &python); err != nil || python.Path == "" {
		return python, fmt.Errorf("it does not answer as Python does")
	}
	return python, nil
}

func notFound(named, version string, found []string) error {
	want := "Python " + version
	if version == "" {
		want = "Python 3"
	}
	if named != "" {
		want += " as " + named
	}
	there := "there is none on the PATH"
	if len(found) > 0 {
		there = "found only " + strings.Join(found, ", ")
	}
	return fmt.Errorf("%w: %s is wanted, but %s: install it, or name an interpreter", azml.ErrNotFound, want, there)
}

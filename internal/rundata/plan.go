package rundata

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// The most inputs and outputs of a run, Azure ML's.
const (
	maxInputs  = 200
	maxOutputs = 20
)

// Plan checks what is asked for and gives what the definition of a run says, by
// name. Datasets that are not registered are saved. Errors name the input or output.
func Plan(ctx context.Context, h core.Handle, inputs map[string]dataset.Input, outputs map[string]dataset.Output) (in []record.DataInput, out []record.DataOutput, err error) {
	if len(inputs) > maxInputs || len(outputs) > maxOutputs {
		return nil, nil, fmt.Errorf("%w: %d inputs and %d outputs: a run has at most %d and %d", azml.ErrInvalid, len(inputs), len(outputs), maxInputs, maxOutputs)
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		planned, err := dataset.PlanInput(ctx, h, name, inputs[name])
		if err != nil {
			return nil, nil, fmt.Errorf("input %q: %w", name, err)
		}
		in = append(in, planned)
	}
	registered := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		planned, err := dataset.PlanOutput(ctx, h, name, outputs[name])
		if err != nil {
			return nil, nil, fmt.Errorf("output %q: %w", name, err)
		}
		if r := planned.Register; r != nil {
			if other, taken := registered[r.Name]; taken {
				return nil, nil, fmt.Errorf("%w: the outputs %q and %q are both registered as %s: give each a name of its own", azml.ErrInvalid, other, name, r.Name)
			}
			registered[r.Name] = name
		}
		out = append(out, planned)
	}
	return in, out, nil
}

// Check tells what is wrong with names, paths and arguments of a script run. It looks
// at nothing.
func Check(inputs map[string]dataset.Input, outputs map[string]dataset.Output, arguments []string, variables map[string]string) error {
	for name := range inputs {
		if _, both := outputs[name]; both {
			return fmt.Errorf("%w: %q is an input and an output: each is an environment variable of its own", azml.ErrInvalid, name)
		}
	}
	at := map[string]string{}
	check := func(what, name, path string) error {
		if err := checkName(name, variables); err != nil {
			return fmt.Errorf("%s %q: %w", what, name, err)
		}
		if err := checkPath(path); err != nil {
			return fmt.Errorf("%s %q: %w", what, name, err)
		}
		if path = filepath.Clean(path); path != "." && at[path] != "" {
			return fmt.Errorf("%w: %s %q and %s are both at %s", azml.ErrInvalid, what, name, at[path], path)
		}
		at[path] = fmt.Sprintf("%s %q", what, name)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		if err := check("input", name, inputs[name].PathOnCompute); err != nil {
			return err
		}
		if first, _, _ := strings.Cut(filepath.ToSlash(filepath.Clean(inputs[name].PathOnCompute)), "/"); first == "outputs" || first == "logs" {
			return fmt.Errorf("%w: input %q: the folder %s is what the run makes: choose another path", azml.ErrInvalid, name, first)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		if err := check("output", name, outputs[name].PathOnCompute); err != nil {
			return err
		}
	}
	return checkTokens(inputs, outputs, arguments)
}

// names is Azure ML's rule.
var names = regexp.MustCompile(`^[a-zA-Z_]+[a-zA-Z0-9_]*$`)

// reserved are variables that a script has otherwise, and what begins those of the
// library and of what it stands in for.
var (
	reserved = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "PWD",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
		"CUDA_VISIBLE_DEVICES", "SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA"}
	reservedPrefixes = []string{"AZUREML_", "AZML_", "MLFLOW_", "PYTHON", "LD_", "DYLD_", "LC_", "CONDA_", "VIRTUAL_ENV", "TRACEPARENT", "OTEL_"}
)

// checkName tells whether an environment variable can have the name.
func checkName(name string, variables map[string]string) error {
	const longest = 255
	if !names.MatchString(name) || len(name) > longest {
		return fmt.Errorf("%w: a name is 1 to %d letters, digits and \"_\", the first no digit: it becomes an environment variable", azml.ErrInvalid, longest)
	}
	if slices.Contains(reserved, name) || slices.ContainsFunc(reservedPrefixes, func(p string) bool { return strings.HasPrefix(strings.ToUpper(name), p) }) {
		return fmt.Errorf("%w: the environment variable of that name means something else to programs: choose another name", azml.ErrInvalid)
	}
	if _, taken := variables[name]; taken {
		return fmt.Errorf("%w: there is an environment variable of that name, too: choose another name for one of them", azml.ErrInvalid)
	}
	return nil
}

// checkPath tells whether a path on the compute is absolute or inside the working
// folder.
func checkPath(path string) error {
	switch {
	case path == "" || filepath.IsAbs(path):
		return nil
	case !filepath.IsLocal(filepath.FromSlash(path)):
		return fmt.Errorf("%w: path on the compute %q leads out of the script's working folder: give one inside it, or an absolute one", azml.ErrInvalid, path)
	case filepath.Clean(path) == ".":
		return fmt.Errorf("%w: path on the compute %q is the script's working folder itself: give one inside it", azml.ErrInvalid, path)
	}
	return nil
}

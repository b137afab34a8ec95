package pyenv

import (
	"bytes"
	"context"
	_ "embed" // of condaScript
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/azml-go/azml"
)

// condaScript makes a conda environment. It needs condaTool.
//
//go:embed python/conda.py
var condaScript string

const (
	// condaTool is the solver and installer of conda packages, as pip gets it.
	condaTool = "py-rattler==0.28.0"
	// condaToolPython are the versions of Python that it runs on, which need not
	// be that of the environment.
	condaToolPython = ">=3.10"
	// defaultChannel is where packages come from when no channel is named.
	defaultChannel = "conda-forge"
	// condaMeta is the folder that each conda environment has.
	condaMeta = "conda-meta"
	// condaVariables is the file of a conda environment with the variables, in
	// JSON, that scripts of its packages set when it is activated. They are run
	// once, when it is made.
	condaVariables = condaMeta + "/azml-variables"
)

// condaRequest is what condaScript reads.
type condaRequest struct {
	Prefix   string   `json:"prefix"`
	Specs    []string `json:"specs"`
	Channels []string `json:"channels"`
	// Variables is the file for the variables in Prefix.
	Variables string `json:"variables"`
}

// condaInput writes one line of what condaScript is to make at prefix. It may hold
// credentials.
func (s Spec) condaInput(prefix string, windows bool, env map[string]string) []byte {
	specs := []string{condaPython(s.PythonVersion), "pip"}
	for _, pkg := range s.Conda {
		specs = append(specs, joinCondaVersion(pkg))
	}
	line, err := json.Marshal(condaRequest{Prefix: prefix, Specs: specs, Channels: s.condaChannels(windows, env), Variables: condaVariables})
	if err != nil {
		panic("pyenv: strings can't be marshalled: " + err.Error())
	}
	return append(line, '\n')
}

// condaChannels lists the channels to take packages from, the first one preferred:
// those of the spec, then those that single packages name.
func (s Spec) condaChannels(windows bool, env map[string]string) []string {
	var out []string
	for _, channel := range s.Channels {
		switch channel {
		case "nodefaults": // says what is so anyway
		case "defaults":
			out = append(out, "https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
			if windows {
				out = append(out, "https://repo.anaconda.com/pkgs/msys2")
			}
		default:
			out = append(out, variable.ReplaceAllStringFunc(channel, func(match string) string {
				if value, ok := env[match[2:len(match)-1]]; ok {
					return value
				}
				return match
			}))
		}
	}
	if len(out) == 0 {
		out = append(out, defaultChannel)
	}
	for _, pkg := range s.Conda {
		if channel, _, found := strings.Cut(pkg, "::"); found && !slices.Contains(out, channel) {
			out = append(out, channel)
		}
	}
	return out
}

// createConda makes a conda environment at dir, an empty folder.
func (b *builder) createConda(ctx context.Context, dir string) (marker, error) {
	b.logf("conda packages are installed by %s", condaTool)
	tool, err := Build(ctx, Spec{PythonVersion: condaToolPython, Pip: []string{condaTool}}, &b.opts)
	if err != nil {
		return marker{}, fmt.Errorf("make what installs conda packages: %w", err)
	}
	create := command{phase: "conda create", args: []string{tool.Python, "-I", "-u", "-c", condaScript}, env: b.env,
		input: bytes.NewReader(b.spec.condaInput(dir, runtime.GOOS == "windows", b.urls))}
	if err := create.run(ctx, b.opts.Log, b.mask); err != nil {
		return marker{}, err
	}
	inside := filepath.Join("bin", "python")
	if runtime.GOOS == "windows" {
		inside = "python.exe"
	}
	python, err := probe(ctx, filepath.Join(dir, inside), b.env)
	if err != nil {
		return marker{}, newBuildError(create.phase, fmt.Errorf("%w: its Python does not run: %w", azml.ErrFailed, err), nil)
	}
	return marker{Python: inside, Version: python.Version}, nil
}

// condaPrefix gives the folder of the conda environment that an interpreter is of, ""
// for none.
func condaPrefix(python string) string {
	prefix := filepath.Dir(python)
	if runtime.GOOS != "windows" {
		prefix = filepath.Dir(prefix)
	}
	if _, err := os.Stat(filepath.Join(prefix, condaMeta)); err != nil {
		return ""
	}
	return prefix
}

// activated gives the variables that processes in a conda environment have besides
// those of all environments; none for one that others have made.
func activated(prefix string) map[string]string {
	var variables map[string]string
	data, err := os.ReadFile(filepath.Join(prefix, filepath.FromSlash(condaVariables)))
	if err == nil {
		_ = json.Unmarshal(data, &variables) // what was changed by hand is not ours
	}
	all := map[string]string{}
	maps.Copy(all, variables)
	all["CONDA_PREFIX"] = prefix
	return all
}

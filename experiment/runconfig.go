package experiment

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/runconfig"
)

// LoadRunConfig reads a run configuration file as Azure ML writes it, from the
// project folder path: .azureml/<name>, aml_config/<name>, both also with
// ".runconfig" at the end, or <name>.runconfig in the folder itself; path may
// also be the file. The Source of the result is the folder. Warnings name what
// the file asks for and the library does not do. Errors: ErrNotFound,
// ErrInvalid naming file, line and key.
func LoadRunConfig(path, name string) (_ ScriptRunConfig, warnings []string, err error) {
	defer core.Wrap(&err, "load run configuration", "file", filepath.Join(path, name))
	rc, err := runconfig.Load(path, name)
	if err != nil {
		return ScriptRunConfig{}, nil, err
	}
	path = projectOf(path)
	if err := rc.Validate(); err != nil {
		return ScriptRunConfig{}, nil, err
	}
	config := ScriptRunConfig{Source: path, Script: rc.Script, Arguments: rc.Arguments, Compute: rc.Target,
		MaxDuration: time.Duration(rc.MaxRunDurationSeconds) * time.Second, Variables: maps.Clone(rc.EnvironmentVariables)}
	switch {
	case rc.Command.Line != "":
		config.Command = []string{"/bin/sh", "-c", rc.Command.Line}
	case !rc.Command.Empty():
		config.Command = rc.Command.Words
	}
	if len(config.Command) > 0 {
		config.Script, config.Arguments = "", nil
	}
	if config.Environment, err = environmentOf(path, rc.Environment); err != nil {
		return ScriptRunConfig{}, nil, err
	}
	return config, append(rc.Warnings, unsupported(rc)...), nil
}

// projectOf gives the project folder of a path that may be a file in it, or in
// its folder of configurations.
func projectOf(path string) string {
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return path
	}
	dir := filepath.Dir(path)
	if base := filepath.Base(dir); base == ".azureml" || base == "aml_config" {
		return filepath.Dir(dir)
	}
	return dir
}

func environmentOf(path string, e runconfig.Environment) (environment.Spec, error) {
	if e.Reference {
		return environment.Reference(e.Name, e.Version), nil
	}
	python, err := e.Spec(path)
	if err != nil {
		return environment.Spec{}, err
	}
	return environment.Spec{Name: e.Name, Variables: maps.Clone(e.EnvironmentVariables), Python: environment.Python(python)}, nil
}

// unsupported says what the configuration asks for beyond a script on one node.
func unsupported(rc *runconfig.RunConfig) []string {
	var warnings []string
	warn := func(asked bool, format string, args ...any) {
		if asked {
			warnings = append(warnings, fmt.Sprintf(format, args...))
		}
	}
	defaults := runconfig.New()
	warn(rc.Framework != defaults.Framework, "framework %s is not set up: the script runs as plain Python", rc.Framework)
	warn(rc.Communicator != defaults.Communicator, "communicator %s is not set up", rc.Communicator)
	warn(rc.NodeCount > 1, "nodeCount %d: the script runs on one node", rc.NodeCount)
	warn(rc.Docker.UseDocker, "docker.useDocker: the script runs without a container")
	warn(len(rc.DataReferences)+len(rc.Data)+len(rc.OutputData) > 0, "dataReferences, data and outputData are not provided")
	warn(!rc.History.SnapshotProject, "history.snapshotProject false: a snapshot is taken all the same")
	warn(!rc.History.OutputCollection, "history.outputCollection false: outputs are collected all the same")
	return warnings
}

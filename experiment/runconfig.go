package experiment

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/pyenv"
	"github.com/azml-go/azml/internal/runconfig"
)

// shell runs a command that is one line.
var shell = []string{"/bin/sh", "-c"}

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
		config.Command = append(slices.Clone(shell), rc.Command.Line)
	case !rc.Command.Empty():
		config.Command = rc.Command.Words
	}
	if len(config.Command) > 0 {
		config.Script, config.Arguments = "", nil
	}
	if config.Environment, err = environmentOf(path, rc.Environment, inContainer(rc)); err != nil {
		return ScriptRunConfig{}, nil, err
	}
	config.Distributed = distributedOf(rc)
	config.Priority = rc.Priority
	var lacking, others []string
	if config.Limits, others, err = limitsOf(rc); err != nil {
		return ScriptRunConfig{}, nil, err
	}
	config.Inputs, config.Outputs, lacking = dataOf(rc)
	return config, slices.Concat(rc.Warnings, unsupported(rc), others, lacking), nil
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

// inContainer tells whether the configuration's target may run containers. On this
// machine itself the script runs without one, and what is said of images is not
// looked at, as every file of the SDK says something.
func inContainer(rc *runconfig.RunConfig) bool {
	return rc.Target != "" && rc.Target != compute.LocalName
}

// limitsOf gives the limits of the container, and what is said of it otherwise.
func limitsOf(rc *runconfig.RunConfig) (backend.Limits, []string, error) {
	limits, others, err := rc.Limits()
	if err != nil {
		return backend.Limits{}, nil, err
	}
	if len(others) > 0 {
		others = []string{fmt.Sprintf("docker.arguments: %s: limits are taken from there and nothing else", strings.Join(others, " "))}
	}
	if !inContainer(rc) {
		limits = runconfig.Limits{}
	}
	return backend.Limits(limits), others, nil
}

func environmentOf(path string, e runconfig.Environment, inContainer bool) (environment.Spec, error) {
	if e.Reference {
		return environment.Reference(e.Name, e.Version), nil
	}
	python, err := e.Spec(path)
	if err != nil {
		return environment.Spec{}, err
	}
	spec := environment.Spec{Name: e.Name, Version: e.Version, Variables: maps.Clone(e.EnvironmentVariables), Python: environment.Python(python)}
	if inContainer {
		spec.Docker = environment.Docker{BaseImage: e.Docker.BaseImage, BaseDockerfile: e.Docker.BaseDockerfile}
	}
	switch {
	case !spec.IsReference():
	case e.Name == environment.DefaultName && e.Version == "":
		spec = environment.Spec{}
	default: // an environment with nothing in it, which a bare name does not say
		spec.Python.PythonVersion = ">=3"
	}
	return spec, nil
}

// SaveRunConfig writes the configuration as a file that LoadRunConfig and Azure
// ML read: .azureml/<name> in the project folder path (aml_config/<name> when
// that folder is there), and conda_dependencies.yml beside it when the
// environment has packages. Files that are there are replaced. The folder
// stands for Source; GracePeriod, MaxRestarts, AllowWorkspace and an input's RequireUnchanged
// have no place in such a file. Errors:
// ErrInvalid; ErrUnsupported for an environment with constraints, which a conda
// file can't hold, or with a build context, and for outputs that are tables; ErrDenied.
func SaveRunConfig(path, name string, config ScriptRunConfig) (err error) {
	defer core.Wrap(&err, "save run configuration", "file", filepath.Join(path, name))
	if err := config.checkProgram(); err != nil {
		return err
	}
	rc := runconfig.New()
	rc.Script, rc.Arguments, rc.EnvironmentVariables = config.Script, config.Arguments, config.Variables
	rc.Target = cmp.Or(config.Compute, rc.Target)
	rc.MaxRunDurationSeconds = int(math.Ceil(config.MaxDuration.Seconds()))
	rc.SetLimits(runconfig.Limits(config.Limits))
	if c := config.Command; len(c) == 3 && slices.Equal(c[:2], shell) {
		rc.Command.Line = c[2]
	} else {
		rc.Command.Words = c
	}
	rc.Priority = config.Priority
	fillDistributed(rc, config.Distributed)
	if err := fillEnvironment(&rc.Environment, config.Environment); err != nil {
		return err
	}
	if err := fillData(rc, config); err != nil {
		return err
	}
	if err := rc.Validate(); err != nil {
		return err
	}
	return rc.Save(path, name, false)
}

// fillEnvironment is the opposite of environmentOf.
func fillEnvironment(e *runconfig.Environment, spec environment.Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	if spec.Docker.BuildContext != nil {
		return fmt.Errorf("%w: a run configuration names the URL of a build context, not a folder: register the environment and name it", azml.ErrUnsupported)
	}
	e.Name, e.Version, e.EnvironmentVariables = cmp.Or(spec.Name, e.Name), spec.Version, spec.Variables
	e.Docker.BaseImage, e.Docker.BaseDockerfile = spec.Docker.BaseImage, spec.Docker.BaseDockerfile
	python := pyenv.Spec(spec.Python)
	switch {
	case spec.IsReference():
		e.Reference = true
	case python.UserManaged:
		e.Python.UserManagedDependencies, e.Python.InterpreterPath = true, cmp.Or(python.InterpreterPath, e.Python.InterpreterPath)
	case !reflect.ValueOf(python).IsZero():
		text, err := pyenv.FormatConda(e.Name, python)
		if err != nil {
			return err
		}
		e.Python.CondaDependencies = runconfig.CondaText(text)
	}
	return nil
}

// DeleteRunConfig removes the configuration of that name, also with
// ".runconfig" at its end, from .azureml and aml_config in the project folder
// path. Files with environments stay: other configurations may use them.
// Errors: ErrNotFound, ErrInvalid for a name that is a path, ErrDenied.
func DeleteRunConfig(path, name string) (err error) {
	defer core.Wrap(&err, "delete run configuration", "file", filepath.Join(path, name))
	return runconfig.Delete(path, name)
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
	if distributedOf(rc) == nil {
		warn(rc.Framework != defaults.Framework, "framework %s is not set up: the script runs as plain Python", rc.Framework)
		warn(rc.Communicator != defaults.Communicator, "communicator %s is not set up", rc.Communicator)
		warn(rc.NodeCount > 1, "nodeCount %d: the script runs on one node", rc.NodeCount)
	}
	warn(rc.Docker.UseDocker && !inContainer(rc), "docker.useDocker: the script runs without a container")
	warn(len(rc.DataCaches) > 0, "datacaches are not provided")
	warn(len(rc.ApplicationEndpoints) > 0, "applicationEndpoints are not started")
	warn(rc.Environment.Docker.BaseDockerfile != "" && !inContainer(rc), "environment.docker: no image is built, the script runs without a container")
	warn(rc.Environment.Docker.BuildContext != nil, "environment.docker.buildContext: no image is built of a folder elsewhere: register an environment with a folder of this machine, and name it")
	warn(rc.Environment.Python.BaseCondaEnvironment != "", "environment.python.baseCondaEnvironment %s: the environment is made from nothing", rc.Environment.Python.BaseCondaEnvironment)
	warn(!slices.Equal(rc.History.DirectoriesToWatch, defaults.History.DirectoriesToWatch), "history.directoriesToWatch: logs is watched and nothing else")
	warn(!rc.History.SnapshotProject, "history.snapshotProject false: a snapshot is taken all the same")
	warn(!rc.History.OutputCollection, "history.outputCollection false: outputs are collected all the same")
	return warnings
}

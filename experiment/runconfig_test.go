package experiment_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
)

func TestLoadRunConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file(t, dir, ".azureml/train.runconfig", `script: train.py
arguments: [--lr, 0.1]
target: local
framework: PyTorch
communicator: Nccl
maxRunDurationSeconds: 3600
nodeCount: 2
environment:
  name: sklearn
  environmentVariables: {EXAMPLE_ENV_VAR: EXAMPLE_VALUE}
  python:
    userManagedDependencies: false
    interpreterPath: python
    condaDependencies:
      name: project_environment
      dependencies: [python=3.9, {pip: [scikit-learn==1.4]}]
environmentVariables: {Mine: "1"}
history: {outputCollection: true, snapshotProject: true, directoriesToWatch: [logs]}
docker: {useDocker: true}
`)
	config, warnings, err := experiment.LoadRunConfig(dir, "train")
	require.NoError(t, err)
	require.Equal(t, dir, config.Source)
	require.Equal(t, "train.py", config.Script)
	require.Equal(t, []string{"--lr", "0.1"}, config.Arguments)
	require.Equal(t, "local", config.Compute)
	require.Equal(t, time.Hour, config.MaxDuration)
	require.Equal(t, "1", config.Variables["Mine"])
	require.Equal(t, "sklearn", config.Environment.Name)
	require.Equal(t, []string{"scikit-learn==1.4"}, config.Environment.Python.Pip)
	all := strings.Join(warnings, "\n")
	for _, word := range []string{"PyTorch", "Nccl", "nodeCount 2", "docker"} {
		require.Contains(t, all, word)
	}
	file(t, dir, "cmd.runconfig", "command: echo a && echo b\n")
	config, warnings, err = experiment.LoadRunConfig(dir, "cmd")
	require.NoError(t, err)
	require.Equal(t, []string{"/bin/sh", "-c", "echo a && echo b"}, config.Command)
	require.Empty(t, config.Script)
	require.Empty(t, warnings)
	file(t, dir, "ref.runconfig", "script: train.py\nenvironment: {name: e, version: '3'}\n")
	config, _, err = experiment.LoadRunConfig(dir, "ref")
	require.NoError(t, err)
	require.Equal(t, environment.Reference("e", "3"), config.Environment)
	path := file(t, dir, "bad.runconfig", "script: [\n")
	_, _, err = experiment.LoadRunConfig(dir, "bad")
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, "bad.runconfig")
	_, _, err = experiment.LoadRunConfig(dir, "none")
	require.ErrorIs(t, err, azml.ErrNotFound)

	// Named as a file, the project is the folder that the file is for.
	require.NoError(t, os.Remove(path))
	file(t, dir, "train.py", "")
	config, _, err = experiment.LoadRunConfig(filepath.Join(dir, ".azureml", "train.runconfig"), "")
	require.NoError(t, err)
	info, err := os.Stat(config.Source)
	require.NoError(t, err)
	require.True(t, info.IsDir(), "Source is %s", config.Source)
}

// A file need not say anything of an environment: then there is nothing to
// install. A named one with nothing in it is no reference either.
func TestRunConfigWithoutPackages(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	e := create(t, open(t).Experiments(), "e", nil)
	dir := t.TempDir()
	file(t, dir, "train.py", "")
	for name, test := range map[string]struct{ text, environment string }{
		"nothing":       {"", "default-environment:1"},
		"empty object":  {"environment: {python: {userManagedDependencies: false}}\n", "default-environment:1"},
		"named":         {"environment: {name: bare, python: {userManagedDependencies: false}}\n", "bare:1"},
		"named version": {"environment: {name: other, version: 7, python: {}}\n", "other:7"},
	} {
		file(t, dir, "c.runconfig", "script: train.py\n"+test.text)
		config, _, err := experiment.LoadRunConfig(dir, "c")
		require.NoError(t, err, name)
		r, err := e.Submit(ctx, config, nil)
		require.NoError(t, err, name)
		require.NoError(t, r.Wait(ctx, nil), name)
		require.Equal(t, test.environment, r.Details().Environment, name)
	}
}

func TestSaveRunConfig(t *testing.T) {
	t.Parallel()
	python := environment.Python{PythonVersion: ">=3.9,<4", Pip: []string{"numpy==1.26.4"}, PipOptions: []string{"--no-index"}, Conda: []string{"cudatoolkit"}, Channels: []string{"conda-forge"}}
	for name, config := range map[string]experiment.ScriptRunConfig{
		"script": {Script: "train.py", Arguments: []string{"--lr", "0.1", "", "a b", "yes"}, Compute: "box", MaxDuration: time.Hour,
			Variables: map[string]string{"Mine": "1", "OTHER_one": "x\ny"}, Environment: environment.Spec{Name: "e", Version: "3", Variables: map[string]string{"V": "1"}, Python: python}},
		"command":      {Compute: "local", Command: []string{"python", "-m", "train"}, Environment: environment.Spec{Name: "e", Python: environment.Python{UserManaged: true, InterpreterPath: "/usr/bin/python3"}}},
		"line":         {Compute: "local", Command: []string{"/bin/sh", "-c", "echo a | cat"}, Environment: environment.Reference("e", "3")},
		"latest":       {Compute: "local", Script: "a.py", Environment: environment.Reference("e", "")},
		"no packages":  {Compute: "local", Script: "a.py"},
		"conda's name": {Compute: "local", Script: "a.py", Environment: environment.Spec{Name: "e", Python: environment.Python{PythonVersion: "3.11"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, experiment.SaveRunConfig(dir, "c", config))
			back, warnings, err := experiment.LoadRunConfig(dir, "c")
			require.NoError(t, err)
			require.Empty(t, warnings)
			config.Source = dir
			require.Equal(t, config.Environment.Hash(), back.Environment.Hash())
			require.Equal(t, config.Environment.IsReference(), back.Environment.IsReference())
			require.Equal(t, config.Environment.Name, back.Environment.Name)
			require.Equal(t, config.Environment.Version, back.Environment.Version)
			require.Equal(t, len(config.Environment.Variables), len(back.Environment.Variables))
			require.Equal(t, len(config.Variables), len(back.Variables))
			for name, value := range config.Variables {
				require.Equal(t, value, back.Variables[name])
			}
			require.Equal(t, append([]string{}, config.Arguments...), append([]string{}, back.Arguments...))
			config.Environment, config.Variables, config.Arguments = back.Environment, back.Variables, back.Arguments
			require.Equal(t, config, back)
			require.NoError(t, experiment.DeleteRunConfig(dir, "c"))
			_, _, err = experiment.LoadRunConfig(dir, "c")
			require.ErrorIs(t, err, azml.ErrNotFound)
			require.ErrorIs(t, experiment.DeleteRunConfig(dir, "c"), azml.ErrNotFound)
		})
	}
}

func TestSaveRunConfigRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ok := experiment.ScriptRunConfig{Script: "train.py"}
	for name, test := range map[string]struct {
		file   string
		change func(*experiment.ScriptRunConfig)
		class  error
	}{
		"no program":  {"c", func(c *experiment.ScriptRunConfig) { c.Script = "" }, azml.ErrInvalid},
		"path":        {"../c", func(*experiment.ScriptRunConfig) {}, azml.ErrInvalid},
		"outside":     {"c", func(c *experiment.ScriptRunConfig) { c.Script = "../a.py" }, azml.ErrInvalid},
		"variable":    {"c", func(c *experiment.ScriptRunConfig) { c.Variables = map[string]string{"=": ""} }, azml.ErrInvalid},
		"requirement": {"c", func(c *experiment.ScriptRunConfig) { c.Environment.Python.Pip = []string{"??"} }, azml.ErrInvalid},
		"constraints": {"c", func(c *experiment.ScriptRunConfig) { c.Environment.Python.Constraints = []string{"numpy<2"} }, azml.ErrUnsupported},
	} {
		config := ok
		test.change(&config)
		require.ErrorIs(t, experiment.SaveRunConfig(dir, test.file, config), test.class, name)
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "nothing was written")
}

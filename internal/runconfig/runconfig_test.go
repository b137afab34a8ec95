package runconfig

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/testenv"
)

// sdkFile loads a configuration that the SDK wrote.
func sdkFile(t *testing.T, name string) *RunConfig {
	t.Helper()
	c, err := Load(filepath.Join("testdata", "azureml", name), name)
	require.NoError(t, err)
	require.Empty(t, c.Warnings)
	return c
}

func TestLoadWhatTheSDKWrote(t *testing.T) {
	t.Parallel()
	names, err := os.ReadDir(filepath.Join("testdata", "azureml"))
	require.NoError(t, err)
	require.Len(t, names, 10)
	for _, entry := range names {
		t.Run(entry.Name(), func(t *testing.T) {
			t.Parallel()
			c := sdkFile(t, entry.Name())
			dir := t.TempDir()
			for _, separate := range []bool{false, true} {
				require.NoError(t, c.Save(dir, "x", separate))
				back, err := Load(dir, "x")
				require.NoError(t, err)
				require.Equal(t, c, back)
			}
		})
	}
}

func TestSDKValues(t *testing.T) {
	t.Parallel()
	c := sdkFile(t, "default")
	want := New()
	want.Environment = c.Environment
	want.Arguments, want.DataCaches, want.Docker.Arguments = []string{}, []DataCache{}, []string{}
	want.DataReferences, want.Data, want.OutputData = map[string]DataReference{}, map[string]Data{}, map[string]OutputData{}
	want.EnvironmentVariables, want.ApplicationEndpoints = map[string]string{}, map[string]ApplicationEndpoint{}
	require.Equal(t, want, c, "defaults differ from the SDK's")

	require.Equal(t, c.Environment, sdkFile(t, "separate").Environment)

	c = sdkFile(t, "docker")
	require.Equal(t, Docker{UseDocker: true, Arguments: []string{"--ipc=host"}, ShmSize: "8g"}, c.Docker)
	require.Equal(t, []string{"--lr", "0.1", "--name", "a b"}, c.Arguments)
	require.Equal(t, "ubuntu:22.04", c.Environment.Docker.BaseImage)
	require.Equal(t, 3600, c.MaxRunDurationSeconds)
	require.Equal(t, "gpu-box", c.Target)
	require.NoError(t, c.Validate())

	c = sdkFile(t, "conda")
	require.Equal(t, "7", c.Environment.Version)
	require.Equal(t, map[string]string{"MixedCase": "1", "lower_case": "2"}, c.EnvironmentVariables)
	spec, err := c.Environment.Spec("")
	require.NoError(t, err)
	require.Equal(t, "3.11", spec.PythonVersion)
	require.Equal(t, []string{"requests==2.31", "joblib"}, spec.Pip)
	require.Equal(t, []string{"numpy=1.26", "scikit-learn"}, spec.Conda)

	spec, err = sdkFile(t, "usermanaged").Environment.Spec("")
	require.NoError(t, err)
	require.True(t, spec.UserManaged)
	require.Equal(t, "/usr/bin/python3", spec.InterpreterPath)

	c = sdkFile(t, "data")
	require.Equal(t, DataReference{DataStoreName: "ds", PathOnDataStore: "a/b", Mode: "download", Overwrite: true, PathOnCompute: "/tmp/x"}, c.DataReferences["My_Data"])
	require.Equal(t, &Dataset{ID: "id1", Name: "iris", Version: "3"}, c.Data["train"].DataLocation.Dataset)
	require.Equal(t, &DataPath{DatastoreName: "ds", RelativePath: "x/y"}, c.Data["other"].DataLocation.DataPath)
	require.NoError(t, c.Validate())

	require.Equal(t, MPI{ProcessCountPerNode: 2, NodeCount: 4}, sdkFile(t, "mpi").MPI)
	require.Equal(t, PyTorch{CommunicationBackend: "nccl", ProcessCount: 8, NodeCount: 2}, sdkFile(t, "pytorch").PyTorch)
	require.Equal(t, TensorFlow{WorkerCount: 3, ParameterServerCount: 2}, sdkFile(t, "tensorflow").TensorFlow)

	c = sdkFile(t, "outputs")
	require.Equal(t, []string{"echo", "hi"}, c.Command.Words)
	require.Equal(t, []string{"*.txt"}, c.OutputData["model"].AdditionalOptions.UploadOptions.SourceGlobs.Patterns)
	require.Equal(t, 8888, c.ApplicationEndpoints["j"].Port)
	require.False(t, c.History.OutputCollection)
}

func TestParseSpellings(t *testing.T) {
	t.Parallel()
	c, err := Parse([]byte("Script: a.py\nNODE_COUNT: '3'\nmax_run_duration_seconds: 60\nframework: pytorch\n"+
		"environment: {name: e, version: 4}\narguments: [--lr, 0.1, true, null]\ncommand: echo hi | cat\n"+
		"nonsense: 1\nhistory:\n  Snapshot_Project: False\n  extra: 2\nenvironment_variables: {my_KEY: 1}\n"), "f.runconfig")
	require.NoError(t, err)
	require.Equal(t, "a.py", c.Script)
	require.Equal(t, 3, c.NodeCount)
	require.Equal(t, []string{"--lr", "0.1", "true", ""}, c.Arguments)
	require.Equal(t, "echo hi | cat", c.Command.Line)
	require.True(t, c.Environment.Reference)
	require.Equal(t, "4", c.Environment.Version)
	require.False(t, c.History.SnapshotProject)
	require.True(t, c.History.OutputCollection)
	require.Equal(t, map[string]string{"my_KEY": "1"}, c.EnvironmentVariables)
	require.Equal(t, []string{"f.runconfig:8: unknown key nonsense is ignored", "f.runconfig:11: unknown key history.extra is ignored"}, c.Warnings)
	_, err = c.Environment.Spec("")
	require.ErrorIs(t, err, azml.ErrInvalid)
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, words := range map[string]string{
		"":                                  "mapping",
		"- a":                               "mapping",
		"a: [":                              "f:",
		"nodeCount: many\narguments: 7":     "f:1: nodeCount: a whole number is expected; f:2: arguments: a list",
		"nodeCount: 99999999999999":         "whole number",
		"nodeCount: 1\nnode_count: 2":       "f:2: node_count: is there twice",
		"history: 1":                        "f:1: history: a mapping",
		"history:\n  snapshotProject: yes":  "f:2: history.snapshotProject: true or false",
		"script: [a]":                       "a text",
		"data: []":                          "mapping of names",
		"data:\n  a:\n    overwrite: x":     "f:3: data.a.overwrite",
		"environment: []":                   "mapping",
		"command: {a: b}":                   "a line or a list",
		"ArgumentVector: [a.py]\nTarget: x": "before environments",
		"environment: {python: {condaDependencies: 3}}": "mapping",
		"data:\n  a:\n    options: &o {x: *o}":          "too deep",
		"[a]: 1":                                        "plain key",
	} {
		_, err := Parse([]byte(text), "f")
		require.ErrorIs(t, err, azml.ErrInvalid, text)
		require.ErrorContains(t, err, words, text)
	}
	bomb := "data:\n  a:\n    options:\n      l0: &l0 [a,a,a,a,a,a,a,a,a,a]\n"
	for i := range 9 {
		bomb += fmt.Sprintf("      l%d: &l%d [%s*l%d]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*l%d,", i), 9), i)
	}
	_, err := Parse([]byte(bomb), "f")
	require.ErrorContains(t, err, "too large")
}

func TestLoadFinds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	script := func(path, name string) string {
		c, err := Load(path, name)
		require.NoError(t, err)
		return c.Script
	}
	write("r.runconfig", "script: third")
	require.Equal(t, "third", script(dir, "r"))
	write(".azureml/r.runconfig", "script: second")
	require.Equal(t, "second", script(dir, "r"))
	write(".azureml/r", "script: first")
	require.Equal(t, "first", script(dir, "r"))
	require.Equal(t, "second", script(filepath.Join(dir, ".azureml", "r.runconfig"), ""))
	write("aml_config/r", "script: old")
	require.Equal(t, "old", script(dir, "r"))
	require.NoError(t, Delete(dir, "r"))
	require.Equal(t, "third", script(dir, "r"))
	require.ErrorIs(t, Delete(dir, "r"), azml.ErrNotFound)

	write("env/conda.yml", "name: mine\ndependencies: [python=3.10, {pip: [-r reqs.txt]}]\n")
	write("env/reqs.txt", "flask\n")
	write("p.runconfig", "environment: env/conda.yml")
	c, err := Load(dir, "p")
	require.NoError(t, err)
	require.Equal(t, "mine", c.Environment.Name)
	spec, err := c.Environment.Spec(filepath.Join(dir, "env"))
	require.NoError(t, err)
	require.Equal(t, []string{"flask"}, spec.Pip)
	require.Equal(t, "3.10", spec.PythonVersion)

	for text, class := range map[string]error{
		"environment: ../x.yml": azml.ErrInvalid, "environment: /etc/passwd": azml.ErrInvalid, "environment: none.yml": azml.ErrNotFound,
		"environment: {python: {condaDependenciesFile: none.yml}}": azml.ErrNotFound,
	} {
		write("q.runconfig", text)
		_, err := Load(dir, "q")
		require.ErrorIs(t, err, class, text)
	}
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(dir, "out.yml")))
	write("q.runconfig", "environment: out.yml")
	_, err = Load(dir, "q")
	require.ErrorIs(t, err, azml.ErrInvalid)
	for _, name := range []string{"", ".", "..", "a/b", `a\b`, "../r"} {
		_, err := Load(dir, name)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
		require.ErrorIs(t, New().Save(dir, name, false), azml.ErrInvalid, name)
		require.ErrorIs(t, Delete(dir, name), azml.ErrInvalid, name)
	}
	_, err = Load(filepath.Join(dir, "nothere"), "r")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, err, azml.ErrNotFound)
}

func TestValidateReportsAll(t *testing.T) {
	t.Parallel()
	c := New()
	require.ErrorContains(t, c.Validate(), "set a script or a command")
	c.Script = "train.py"
	require.NoError(t, c.Validate())
	c.Script, c.Command.Line, c.NodeCount, c.Framework = "../x.py", "echo", 0, "CNTK"
	c.Data = map[string]Data{"a": {Mechanism: "magic"}}
	c.Environment.Docker.BaseImage, c.Environment.Docker.BaseDockerfile = "a", "b"
	c.ApplicationEndpoints = map[string]ApplicationEndpoint{"e": {Type: "Telnet", Port: 70000}}
	c.Docker.ShmSize = "big"
	err := c.Validate()
	require.ErrorIs(t, err, azml.ErrInvalid)
	for _, words := range []string{"not both", "inside the source folder", "nodeCount: 0", `"CNTK"`, `"magic"`, "say where", "only one of",
		`"Telnet"`, "70000", `"big"`} {
		require.ErrorContains(t, err, words)
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	c := New()
	c.Environment.Docker.BaseImageRegistry.Password = "sekret99"
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", *c, c, c), "sekret99")
}

// TestSDKLoadsWhatWeSave lets the SDK itself read what Save writes and write it
// again, and compares.
func TestSDKLoadsWhatWeSave(t *testing.T) {
	t.Parallel()
	python := testenv.AzureMLCore(t)
	script := "import os, sys\nfrom azureml.core.runconfig import RunConfiguration\n" +
		"for d in sys.argv[1:]:\n    c = RunConfiguration.load(d, 'x')\n    os.makedirs(d + '/again/.azureml')\n    if not c.output_data: c.save(d + '/again', 'x')\n"
	names, err := os.ReadDir(filepath.Join("testdata", "azureml"))
	require.NoError(t, err)
	dirs := map[string]string{}
	args := []string{"-c", script}
	for i, entry := range names {
		dir := t.TempDir()
		require.NoError(t, sdkFile(t, entry.Name()).Save(dir, "x", i%2 == 0))
		dirs[entry.Name()] = dir
		args = append(args, dir)
	}
	out, err := exec.CommandContext(t.Context(), python, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	delete(dirs, "outputs") // the SDK reads its own outputs, but can't write what it read
	for name, dir := range dirs {
		ours, err := Load(dir, "x")
		require.NoError(t, err)
		theirs, err := Load(filepath.Join(dir, "again"), "x")
		require.NoError(t, err, name)
		ours.Environment.Python.CondaDependencies, theirs.Environment.Python.CondaDependencies = "", ""
		if name == "data" { // the SDK takes "My_Data" for a key of its own
			ours.DataReferences, theirs.DataReferences = nil, nil
		}
		require.Equal(t, ours, theirs, name)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "azureml", "*", ".azureml", "*"))
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte("environment: &a {name: *a}\ndata: {a: {options: {b: !!binary AA==, 1: [1.5, .nan]}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data, "f")
		if err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
			return
		}
		_ = c.Validate()
		n, err := encode(reflect.ValueOf(*c))
		require.NoError(t, err)
		text, err := format(n)
		require.NoError(t, err)
		back, err := Parse(text, "f")
		require.NoError(t, err, "%s", text)
		if c.Environment.File == "" && !c.Environment.Reference {
			again, err := encode(reflect.ValueOf(*back))
			require.NoError(t, err)
			text2, err := format(again)
			require.NoError(t, err)
			require.Equal(t, string(text), string(text2))
		}
	})
}

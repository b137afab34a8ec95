package experiment_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
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
	require.Contains(t, all, "docker")
	require.NotContains(t, all, "nodeCount", "it is what Distributed says")
	require.Equal(t, experiment.PyTorch{CommunicationBackend: "nccl", NodeCount: 2}, config.Distributed)
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

// TestRunConfigLimits reads what the two parts about containers say.
func TestRunConfigLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text     string
		limits   backend.Limits
		warnings int
		wrong    bool
	}{
		"nothing":      {"target: box", backend.Limits{}, 0, false},
		"the default":  {"target: box\ndocker: {shmSize: 2g}", backend.Limits{}, 0, false},
		"size":         {"target: box\ndocker: {shmSize: 512m}", backend.Limits{SharedMemory: 512 << 20}, 0, false},
		"old place":    {"target: box\nenvironment: {docker: {shmSize: 1g, arguments: [--cpus=2]}}", backend.Limits{CPUs: 2, SharedMemory: 1 << 30}, 0, false},
		"arguments":    {"target: box\ndocker: {arguments: [--cpus, '0.5', -m=1g, --gpus=all, --ipc, host]}", backend.Limits{CPUs: 0.5, Memory: 1 << 30, GPUs: -1}, 1, false},
		"this machine": {"docker: {shmSize: 1g, arguments: [--cpus=2]}", backend.Limits{}, 0, false},
		"no number":    {"target: box\ndocker: {arguments: [--cpus, many]}", backend.Limits{}, 0, true},
		"no size":      {"target: box\ndocker: {arguments: [--memory=-1]}", backend.Limits{}, 0, true},
		"no value":     {"target: box\ndocker: {arguments: [--gpus]}", backend.Limits{}, 0, true},
	} {
		dir := t.TempDir()
		file(t, dir, "c.runconfig", "script: train.py\n"+c.text+"\n")
		config, warnings, err := experiment.LoadRunConfig(dir, "c")
		if c.wrong {
			require.ErrorIs(t, err, azml.ErrInvalid, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, c.limits, config.Limits, name)
		require.Len(t, warnings, c.warnings, name)
	}
}

func TestSaveRunConfig(t *testing.T) {
	t.Parallel()
	python := environment.Python{PythonVersion: ">=3.9,<4", Pip: []string{"numpy==1.26.4"}, PipOptions: []string{"--no-index"}, Conda: []string{"cudatoolkit"}, Channels: []string{"conda-forge"}}
	for name, config := range map[string]experiment.ScriptRunConfig{
		"script": {Script: "train.py", Arguments: []string{"--lr", "0.1", "", "a b", "yes"}, Compute: "box", MaxDuration: time.Hour,
			Variables: map[string]string{"Mine": "1", "OTHER_one": "x\ny"}, Environment: environment.Spec{Name: "e", Version: "3", Variables: map[string]string{"V": "1"}, Python: python}},
		"limits":       {Script: "train.py", Compute: "box", Limits: backend.Limits{CPUs: 1.5, Memory: 3 << 30, SharedMemory: 2 << 30, GPUs: -1}},
		"command":      {Compute: "local", Command: []string{"python", "-m", "train"}, Environment: environment.Spec{Name: "e", Python: environment.Python{UserManaged: true, InterpreterPath: "/usr/bin/python3"}}},
		"line":         {Compute: "local", Command: []string{"/bin/sh", "-c", "echo a | cat"}, Environment: environment.Reference("e", "3")},
		"latest":       {Compute: "local", Script: "a.py", Environment: environment.Reference("e", "")},
		"no packages":  {Compute: "local", Script: "a.py"},
		"mpi":          {Compute: "local", Script: "a.py", Distributed: experiment.Mpi{ProcessCountPerNode: 2, NodeCount: 4}},
		"nccl":         {Compute: "local", Script: "a.py", Distributed: experiment.PyTorch{CommunicationBackend: "nccl", ProcessCount: 8, NodeCount: 2}},
		"gloo":         {Compute: "local", Script: "a.py", Distributed: experiment.PyTorch{CommunicationBackend: "gloo", NodeCount: 1}},
		"workers":      {Compute: "local", Script: "a.py", Distributed: experiment.TensorFlow{WorkerCount: 3, NodeCount: 1}},
		"servers":      {Compute: "local", Script: "a.py", Distributed: experiment.TensorFlow{WorkerCount: 3, ParameterServerCount: 3, NodeCount: 2}},
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

// TestDistributedThatTheSDKWrote reads files of Azure ML's SDK.
func TestDistributedThatTheSDKWrote(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]experiment.Distributed{
		"mpi":        experiment.Mpi{ProcessCountPerNode: 2, NodeCount: 4},
		"pytorch":    experiment.PyTorch{CommunicationBackend: "nccl", ProcessCount: 8, NodeCount: 2},
		"tensorflow": experiment.TensorFlow{WorkerCount: 3, ParameterServerCount: 2, NodeCount: 1},
		"docker":     nil,
	} {
		config, _, err := experiment.LoadRunConfig(filepath.Join("..", "internal", "runconfig", "testdata", "azureml", name), name)
		require.NoError(t, err, name)
		require.Equal(t, want, config.Distributed, name)
	}
}

// TestSDKReadsDistributedOfRunConfig lets Azure ML's SDK read what SaveRunConfig writes,
// and write the same from its own configuration, which is read as ours is.
func TestSDKReadsDistributedOfRunConfig(t *testing.T) {
	t.Parallel()
	python, dir, again := testenv.AzureMLCore(t), t.TempDir(), t.TempDir()
	configs := map[string]experiment.Distributed{
		"mpi":        experiment.Mpi{ProcessCountPerNode: 2, NodeCount: 4},
		"nccl":       experiment.PyTorch{CommunicationBackend: "nccl", ProcessCount: 4, NodeCount: 1},
		"gloo":       experiment.PyTorch{CommunicationBackend: "gloo", ProcessCount: 8, NodeCount: 2},
		"tensorflow": experiment.TensorFlow{WorkerCount: 2, ParameterServerCount: 1, NodeCount: 2},
	}
	for name, d := range configs {
		require.NoError(t, experiment.SaveRunConfig(dir, name, experiment.ScriptRunConfig{Script: "train.py", Distributed: d}))
	}
	file(t, dir, "train.py", "")
	file(t, again, ".azureml/made", "") // the SDK makes no folder
	out, err := exec.CommandContext(t.Context(), python, "-W", "ignore", "-c", `
import sys
from azureml.core import ScriptRunConfig
from azureml.core.runconfig import MpiConfiguration, PyTorchConfiguration, RunConfiguration, TensorflowConfiguration
for name, job in [("mpi", MpiConfiguration(2, 4)), ("nccl", PyTorchConfiguration("Nccl", 4)), ("gloo", PyTorchConfiguration("Gloo", 8, 2)),
        ("tensorflow", TensorflowConfiguration(2, 1))]:
    ours = RunConfiguration.load(sys.argv[1], name)
    theirs = ScriptRunConfig(sys.argv[1], "train.py", distributed_job_config=job).run_config
    for c in ours, theirs:
        print(c.framework, c.communicator.lower(), c.node_count, c.mpi.process_count_per_node, c.mpi.node_count, c.pytorch.communication_backend,
            c.pytorch.process_count, c.pytorch.node_count, c.tensorflow.worker_count, c.tensorflow.parameter_server_count)
    theirs.script = "train.py"
    theirs.save(sys.argv[2], name)
`, dir, again).CombinedOutput()
	require.NoError(t, err, "%s", out)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, lines, 2*len(configs), "%s", out)
	for i := 0; i < len(lines); i += 2 {
		require.Equal(t, lines[i+1], lines[i])
	}
	for name, d := range configs {
		config, _, err := experiment.LoadRunConfig(again, name)
		require.NoError(t, err, name)
		require.Equal(t, d, config.Distributed, name)
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

func TestDataInRunConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	id := strings.Repeat("0a", 16)
	config := experiment.ScriptRunConfig{Source: dir, Script: "train.py", Arguments: []string{"DatasetConsumptionConfig:titanic", "DatasetOutputConfig:scores"},
		Compute: "local", MaxDuration: time.Hour, Variables: map[string]string{},
		Inputs: map[string]dataset.Input{
			"titanic": {ID: "titanic:3", Mode: dataset.ModeDirect},
			"latest":  {ID: "titanic", Mode: dataset.ModeMount, PathOnCompute: "in/latest"},
			"saved":   {ID: id, Mode: dataset.ModeDownload},
			"path":    {ID: "azureml://datastores/raw/paths/a/b", Mode: dataset.ModeDownload},
		},
		Outputs: map[string]dataset.Output{
			"scores": {Target: dataset.Path{Datastore: "raw", Path: "x/{run-id}"}, Mode: dataset.ModeUpload, Globs: []string{"**/*.csv"}, Overwrite: true,
				Register: "scores", Description: "text", Tags: map[string]string{"a": "b"}},
			"live": {Mode: dataset.ModeMount, PathOnCompute: "out"},
		}}
	require.NoError(t, experiment.SaveRunConfig(dir, "data", config))
	again, warnings, err := experiment.LoadRunConfig(dir, "data")
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, config, again)

	config.Outputs["scores"] = dataset.Output{Register: "scores", Parquet: &dataset.ParquetOptions{}}
	require.ErrorIs(t, experiment.SaveRunConfig(dir, "data", config), azml.ErrUnsupported)

	file(t, dir, "azure.runconfig", `script: train.py
dataReferences:
  ref: {dataStoreName: raw, pathOnDataStore: a, mode: mount, overwrite: false}
  up: {dataStoreName: raw, pathOnDataStore: b, mode: upload, overwrite: true, pathOnCompute: out}
data:
  web: {dataLocation: {uri: {path: 'https://example.com/a.csv', isFile: true}}, mechanism: download}
outputData:
  spark: {mechanism: hdfs, additionalOptions: {registrationOptions: {name: n, datasetRegistrationOptions: {additionalTransformation: x}}}}
`)
	config, warnings, err = experiment.LoadRunConfig(dir, "azure")
	require.NoError(t, err)
	require.Equal(t, map[string]dataset.Input{"ref": {ID: "azureml://datastores/raw/paths/a", Mode: dataset.ModeMount}}, config.Inputs)
	require.Equal(t, map[string]dataset.Output{"up": {Target: dataset.Path{Datastore: "raw", Path: "b"}, PathOnCompute: "out", Overwrite: true}, "spark": {Register: "n"}}, config.Outputs)
	all := strings.Join(warnings, "\n")
	for _, word := range []string{"data.web is not provided", "mechanism hdfs", "datasetRegistrationOptions"} {
		require.Contains(t, all, word)
	}
}

// TestSDKReadsDataOfRunConfig lets Azure ML's SDK read what SaveRunConfig writes.
func TestSDKReadsDataOfRunConfig(t *testing.T) {
	t.Parallel()
	python, dir := testenv.AzureMLCore(t), t.TempDir()
	require.NoError(t, experiment.SaveRunConfig(dir, "data", experiment.ScriptRunConfig{Script: "train.py",
		Inputs: map[string]dataset.Input{"titanic": {ID: "titanic:3", Mode: dataset.ModeDirect}, "path": {ID: "azureml://datastores/raw/paths/a/b"}},
		Outputs: map[string]dataset.Output{"scores": {Target: dataset.Path{Datastore: "raw", Path: "x"}, Globs: []string{"*.csv"}, Register: "s",
			Tags: map[string]string{"a": "b"}}}}))
	out, err := exec.CommandContext(t.Context(), python, "-W", "ignore", "-c", `
import sys
from azureml.core.runconfig import RunConfiguration
c = RunConfiguration.load(sys.argv[1], "data")
t, p, o = c.data["titanic"], c.data["path"], c.output_data["scores"]
print(t.mechanism, t.data_location.dataset.name, t.data_location.dataset.version, t.environment_variable_name)
print(p.mechanism, p.data_location.data_path.datastore_name, p.data_location.data_path.relative_path)
a = o.additional_options
# The SDK leaves what is within options as it found it.
print(o.mechanism, dict(a["registrationOptions"]["tags"]), a["registrationOptions"]["name"], list(a["uploadOptions"]["sourceGlobs"]["patterns"]))
`, dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "direct titanic 3 titanic\ndownload raw a/b\nupload {'a': 'b'} s ['*.csv']\n", string(out))
}

package experiment_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
)

// consumers gives who has made or used the dataset, as "role name run".
func consumers(t *testing.T, d *dataset.Dataset) []string {
	t.Helper()
	found := []string{}
	for c, err := range d.Consumers(t.Context(), nil) {
		require.NoError(t, err)
		found = append(found, fmt.Sprintf("%s %s %s %s", c.Role, c.Name, c.Experiment, c.RunID))
	}
	return found
}

// TestLineage: a run makes a dataset, another one uses it and makes a model.
func TestLineage(t *testing.T) {
	t.Parallel()
	ws := open(t)
	config := shell(t, `echo '{"a": 1}' > "$rows/a.jsonl"`)
	config.Outputs = map[string]dataset.Output{"rows": {Register: "rows", JSONLines: &dataset.JSONLinesOptions{}}}
	maker, _, err := submitted(t, ws, config)
	require.NoError(t, err)
	require.Equal(t, "rows:1", maker.Outputs()[0].Dataset)
	require.Equal(t, int64(9), maker.Outputs()[0].Bytes)

	config = shell(t, `head -c 4 "$train"; mkdir -p outputs; echo m > outputs/model`)
	config.Inputs = map[string]dataset.Input{"train": {ID: "rows"}, "test": {ID: "rows:1", Mode: dataset.ModeDirect}}
	user, out, err := submitted(t, ws, config)
	require.NoError(t, err, out)
	require.Equal(t, "PAR1", out, "a table comes as Parquet")
	d, err := ws.Datasets().Get(t.Context(), "rows", 1, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"output rows data " + maker.ID(), "input test data " + user.ID(), "input train data " + user.ID()}, consumers(t, d))
	in := user.Inputs()
	require.Len(t, in, 2)
	require.Equal(t, run.Input{Name: "train", Dataset: "rows:1", Mode: dataset.ModeDownload, Files: 1, Bytes: 9, Fingerprint: d.FingerprintDigest(),
		MLflowName: "rows", MLflowDigest: d.FingerprintDigest()[:32], Context: "train", Tags: map[string]string{"mlflow.data.context": "train"}}, in[1])
	m, err := user.RegisterModel(t.Context(), "m", "outputs/model", nil)
	require.NoError(t, err)
	require.Equal(t, []model.DatasetReference{{Relation: "test", Dataset: "rows:1"}, {Relation: "train", Dataset: "rows:1"}}, m.Details().Datasets)
	found := 0
	for r, err := range ws.Runs().Search(t.Context(), "dataset.name = 'rows' and dataset.context = 'train'", nil) {
		require.NoError(t, err)
		require.Equal(t, user.ID(), r.ID())
		found++
	}
	require.Equal(t, 1, found)

	report, err := ws.Fsck(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, report.Problems)
}

// TestDataThatChanges: what has changed since a version was registered, or since a
// run used it, is told.
func TestDataThatChanges(t *testing.T) {
	t.Parallel()
	ws := open(t)
	store(t, ws, map[string]string{"in/a.txt": "one"})
	registered(t, ws, "texts", "in/")
	config := shell(t, `cat "$texts"/*`)
	config.Inputs = map[string]dataset.Input{"texts": {ID: "texts", RequireUnchanged: true}}
	first, out, err := submitted(t, ws, config)
	require.NoError(t, err)
	require.Equal(t, "one", out)
	state := func(r *run.Run) run.InputState {
		states, err := r.CheckInputs(t.Context(), nil)
		require.NoError(t, err)
		require.Len(t, states, 1)
		require.NoError(t, states[0].Problem)
		require.True(t, states[0].Known)
		return states[0]
	}
	require.False(t, state(first).Changed)

	store(t, ws, map[string]string{"in/b.txt": "two"})
	require.True(t, state(first).Changed)
	require.Equal(t, int64(1), state(first).Changes.Added)
	failed, _, err := submitted(t, ws, config)
	require.ErrorIs(t, err, azml.ErrFailed)
	require.ErrorContains(t, err, "is not what it was when that was registered")
	require.Equal(t, "UserError", failed.Details().Error.Code)

	config.Inputs["texts"] = dataset.Input{ID: "texts"}
	second, out, err := submitted(t, ws, config)
	require.NoError(t, err)
	require.Equal(t, "onetwo", out, "what was downloaded before is not taken for it")
	require.Len(t, second.Details().Warnings, 1)
	require.Contains(t, second.Details().Warnings[0], "texts:1 is not what it was")
	require.False(t, state(second).Changed)
	store(t, ws, map[string]string{"in/b.txt": "2"})
	require.True(t, state(second).Changed)
	require.Nil(t, state(second).Changes, "what it was is not noted file by file")

	require.NoError(t, ws.Datasets().Unregister(t.Context(), "texts", 1, nil))
	states, err := first.CheckInputs(t.Context(), nil)
	require.NoError(t, err)
	require.ErrorIs(t, states[0].Problem, azml.ErrNotFound)
}

// TestDownloadedOnce: data is fetched once for all runs of a machine, and again when
// a script has changed it.
func TestDownloadedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ws := reopen(t, dir)
	store(t, ws, map[string]string{"in/a.txt": "one", "in/b.txt": "two"})
	registered(t, ws, "texts", "in/")
	config := shell(t, `cat "$texts"/*; rm -f "$texts/b.txt"; printf changed > "$texts/b.txt"`)
	config.Inputs = map[string]dataset.Input{"texts": {ID: "texts:1"}}
	_, out, err := submitted(t, ws, config)
	require.NoError(t, err)
	require.Equal(t, "onetwo", out)
	config = shell(t, `cat "$texts"/*`)
	config.Inputs = map[string]dataset.Input{"texts": {ID: "texts:1"}}
	r, out, err := submitted(t, ws, config)
	require.NoError(t, err)
	require.Equal(t, "onetwo", out)
	require.NotContains(t, logOf(t, r, "system_logs/prepare.txt"), "on this machine already")
	r, _, err = submitted(t, ws, config)
	require.NoError(t, err)
	require.Contains(t, logOf(t, r, "system_logs/prepare.txt"), "on this machine already")
	kept, err := filepath.Glob(filepath.Join(dir, "cache", "data", "*", "*", "files"))
	require.NoError(t, err)
	require.Len(t, kept, 1)
}

func TestBadData(t *testing.T) {
	t.Parallel()
	ws := open(t)
	store(t, ws, map[string]string{"in/a.csv": "a\n1\n"})
	registered(t, ws, "files", "in/")
	table, err := ws.Datasets().FromDelimitedFiles(t.Context(), []dataset.Path{{Path: "in/"}}, nil)
	require.NoError(t, err)
	input := func(in dataset.Input) experiment.ScriptRunConfig {
		return experiment.ScriptRunConfig{Inputs: map[string]dataset.Input{"in": in}}
	}
	output := func(out dataset.Output) experiment.ScriptRunConfig {
		return experiment.ScriptRunConfig{Outputs: map[string]dataset.Output{"out": out}}
	}
	named := func(name string) experiment.ScriptRunConfig {
		return experiment.ScriptRunConfig{Inputs: map[string]dataset.Input{name: {ID: "files"}}}
	}
	many := map[string]dataset.Output{}
	for n := range 21 {
		many[fmt.Sprintf("out%d", n)] = dataset.Output{}
	}
	for name, test := range map[string]struct {
		config experiment.ScriptRunConfig
		class  error
		says   string
	}{
		"unknown dataset":        {input(dataset.Input{ID: "none"}), azml.ErrNotFound, `input "in"`},
		"unknown version":        {input(dataset.Input{ID: "files:7"}), azml.ErrNotFound, "files:7"},
		"unknown definition":     {input(dataset.Input{ID: strings.Repeat("a", 32)}), azml.ErrNotFound, "aaaa"},
		"no file":                {input(dataset.Input{ID: "azureml://datastores/workspaceblobstore/paths/none/"}), azml.ErrNotFound, "none/"},
		"unknown datastore":      {input(dataset.Input{ID: "azureml://datastores/nowhere/paths/a"}), azml.ErrNotFound, "nowhere"},
		"neither":                {input(dataset.Input{}), azml.ErrInvalid, "either a dataset or the ID"},
		"both":                   {input(dataset.Input{ID: "files", Dataset: table}), azml.ErrInvalid, "either a dataset or the ID"},
		"bad mode":               {input(dataset.Input{ID: "files", Mode: "upload"}), azml.ErrInvalid, "upload"},
		"mounted table":          {input(dataset.Input{Dataset: table, Mode: dataset.ModeMount}), azml.ErrInvalid, "Parquet"},
		"nothing was noted":      {input(dataset.Input{Dataset: table, RequireUnchanged: true}), azml.ErrInvalid, "noted"},
		"input out of folder":    {input(dataset.Input{ID: "files", PathOnCompute: "../x"}), azml.ErrInvalid, "leads out"},
		"input in outputs":       {input(dataset.Input{ID: "files", PathOnCompute: "./outputs/x"}), azml.ErrInvalid, "outputs"},
		"working folder":         {input(dataset.Input{ID: "files", PathOnCompute: "./"}), azml.ErrInvalid, "working folder itself"},
		"no name":                {named(""), azml.ErrInvalid, "letters"},
		"name of a digit":        {named("1a"), azml.ErrInvalid, "letters"},
		"name with dash":         {named("a-b"), azml.ErrInvalid, "letters"},
		"name of PATH":           {named("PATH"), azml.ErrInvalid, "something else"},
		"name of the library":    {named("AZUREML_RUN_ID"), azml.ErrInvalid, "something else"},
		"unknown output store":   {output(dataset.Output{Target: dataset.Path{Datastore: "nowhere"}}), azml.ErrNotFound, "nowhere"},
		"output escapes":         {output(dataset.Output{Target: dataset.Path{Path: "../../etc"}}), azml.ErrInvalid, "etc"},
		"output leads out":       {output(dataset.Output{PathOnCompute: "a/../../b"}), azml.ErrInvalid, "leads out"},
		"unknown placeholder":    {output(dataset.Output{Target: dataset.Path{Path: "a/{date}"}}), azml.ErrInvalid, "{run-id}"},
		"wildcard in target":     {output(dataset.Output{Target: dataset.Path{Path: "a/*"}}), azml.ErrInvalid, "wildcards"},
		"bad pattern":            {output(dataset.Output{Globs: []string{"[a"}}), azml.ErrInvalid, "[a"},
		"bad output mode":        {output(dataset.Output{Mode: dataset.ModeDirect}), azml.ErrInvalid, "direct"},
		"bad name of a dataset":  {output(dataset.Output{Register: "a/b"}), azml.ErrInvalid, "a/b"},
		"tags without a name":    {output(dataset.Output{Tags: map[string]string{"a": ""}}), azml.ErrInvalid, "Register"},
		"two kinds of tables":    {output(dataset.Output{Register: "a", Parquet: &dataset.ParquetOptions{}, Delimited: &dataset.DelimitedOptions{}}), azml.ErrInvalid, "one kind"},
		"too many":               {experiment.ScriptRunConfig{Outputs: many}, azml.ErrInvalid, "21 outputs"},
		"registered twice":       {experiment.ScriptRunConfig{Outputs: map[string]dataset.Output{"a": {Register: "x"}, "b": {Register: "x"}}}, azml.ErrInvalid, "both registered as x"},
		"input and output":       {experiment.ScriptRunConfig{Inputs: map[string]dataset.Input{"a": {ID: "files"}}, Outputs: map[string]dataset.Output{"a": {}}}, azml.ErrInvalid, "an input and an output"},
		"same path":              {experiment.ScriptRunConfig{Inputs: map[string]dataset.Input{"a": {ID: "files", PathOnCompute: "x"}}, Outputs: map[string]dataset.Output{"b": {PathOnCompute: "./x"}}}, azml.ErrInvalid, "both at x"},
		"variable of that name":  {experiment.ScriptRunConfig{Variables: map[string]string{"in": "1"}, Inputs: map[string]dataset.Input{"in": {ID: "files"}}}, azml.ErrInvalid, "environment variable"},
		"argument without input": {experiment.ScriptRunConfig{Command: []string{"true", "DatasetConsumptionConfig:none"}}, azml.ErrInvalid, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.Source = t.TempDir()
			if test.config.Command == nil {
				test.config.Command = []string{"true"}
			}
			_, err := create(t, ws.Experiments(), "bad", nil).Submit(t.Context(), test.config, nil)
			require.ErrorIs(t, err, test.class)
			require.ErrorContains(t, err, test.says)
		})
	}
	for r, err := range ws.Runs().List(t.Context(), nil) {
		t.Errorf("a run was made: %v %v", r, err)
	}
}

// TestDataIsGone: a run whose data is not there any more fails before its script
// starts, and names the input.
func TestDataIsGone(t *testing.T) {
	t.Parallel()
	ws := open(t)
	d := store(t, ws, map[string]string{"in/a.txt": "one"})
	texts := registered(t, ws, "texts", "in/")
	require.NoError(t, d.Delete(t.Context(), "in/a.txt", nil))
	config := shell(t, `true`)
	config.Inputs = map[string]dataset.Input{"texts": {Dataset: texts}}
	_, _, err := submitted(t, ws, config)
	require.ErrorIs(t, err, azml.ErrFailed)
	require.ErrorContains(t, err, `input "texts"`)
	require.ErrorContains(t, err, "in/")
	require.Empty(t, consumers(t, texts))
}

// TestDataInProcess: programs note what they use, and store what they make.
func TestDataInProcess(t *testing.T) {
	t.Parallel()
	ws := open(t)
	store(t, ws, map[string]string{"in/a.txt": "one"})
	texts := registered(t, ws, "texts", "in/")
	unnamed, err := ws.Datasets().FromFiles(t.Context(), []dataset.Path{{Path: "in/a.txt"}}, nil)
	require.NoError(t, err)
	r, err := create(t, ws.Experiments(), "data", nil).StartLogging(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, r.UseDataset(t.Context(), "train", texts))
	require.NoError(t, r.UseDataset(t.Context(), "train", texts))
	require.NoError(t, r.UseDataset(t.Context(), "other", unnamed))
	require.ErrorIs(t, r.UseDataset(t.Context(), "a b", texts), azml.ErrInvalid)
	dir := t.TempDir()
	_, err = r.StoreDataset(t.Context(), "made", dir, dataset.Output{Register: "made"})
	require.ErrorIs(t, err, azml.ErrInvalid)
	file(t, dir, "x/y.txt", "made")
	made, err := r.StoreDataset(t.Context(), "made", dir, dataset.Output{Register: "made"})
	require.NoError(t, err)
	require.Equal(t, "made:1", made.Ref())
	_, err = r.StoreDataset(t.Context(), "made", dir, dataset.Output{Register: "made"})
	require.ErrorIs(t, err, azml.ErrExists)
	require.NoError(t, os.Symlink("y.txt", filepath.Join(dir, "x", "link")))
	_, err = r.StoreDataset(t.Context(), "linked", dir, dataset.Output{})
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.NoError(t, r.Complete(t.Context()))
	require.Equal(t, []string{"texts:1", unnamed.ID()}, []string{r.Inputs()[0].Dataset, r.Inputs()[1].Dataset})
	require.Equal(t, []string{"input train data " + r.ID()}, consumers(t, texts))
	require.Equal(t, []string{"input other data " + r.ID()}, consumers(t, unnamed))
	require.Equal(t, []string{"output made data " + r.ID()}, consumers(t, made))
	require.Equal(t, []any{r.ID(), "made"}, []any{made.Details().RunID, made.Details().Output})
}

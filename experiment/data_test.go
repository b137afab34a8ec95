package experiment_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// store puts files into the default datastore of the workspace.
func store(t *testing.T, ws *workspace.Workspace, files map[string]string) *datastore.Datastore {
	t.Helper()
	d, err := ws.Datastores().Default(t.Context(), nil)
	require.NoError(t, err)
	for name, text := range files {
		_, err := d.Write(t.Context(), name, strings.NewReader(text), &datastore.WriteOptions{Overwrite: true})
		require.NoError(t, err)
	}
	return d
}

// registered registers the files of a folder of the default datastore.
func registered(t *testing.T, ws *workspace.Workspace, name, folder string) *dataset.Dataset {
	t.Helper()
	d, err := ws.Datasets().FromFiles(t.Context(), []dataset.Path{{Path: folder}}, nil)
	require.NoError(t, err)
	d, err = d.Register(t.Context(), name, &dataset.RegisterOptions{CreateNewVersion: true})
	require.NoError(t, err)
	return d
}

// shell gives a run configuration of a command of the shell.
func shell(t *testing.T, command string) experiment.ScriptRunConfig {
	t.Helper()
	return experiment.ScriptRunConfig{Source: t.TempDir(), Command: []string{"/bin/sh", "-euc", command}}
}

// submitted runs it to its end, and gives its output.
func submitted(t *testing.T, ws *workspace.Workspace, config experiment.ScriptRunConfig) (*run.Run, string, error) {
	t.Helper()
	r, err := create(t, ws.Experiments(), "data", nil).Submit(t.Context(), config, nil)
	require.NoError(t, err)
	ended := r.Wait(t.Context(), nil)
	return r, logOf(t, r, "user_logs/std_log.txt"), ended
}

func logOf(t *testing.T, r *run.Run, name string) string {
	t.Helper()
	log, err := r.Logs(t.Context(), &run.LogsOptions{Name: name})
	if errors.Is(err, azml.ErrNotFound) { // it said nothing
		return ""
	}
	require.NoError(t, err)
	defer log.Close()
	text, err := io.ReadAll(log)
	require.NoError(t, err)
	return string(text)
}

func TestInputs(t *testing.T) {
	t.Parallel()
	ws := open(t)
	store(t, ws, map[string]string{"in/a.txt": "one", "in/b/c.txt": "two"})
	d := registered(t, ws, "texts", "in/")
	absolute := filepath.Join(t.TempDir(), "deep", "there")
	config := shell(t, `
		echo "$whole|$AZUREML_DATAREFERENCE_whole" | sed "s|$whole|PATH|g"
		cat "$whole/a.txt" "$whole/b/c.txt"; echo
		echo "$number $AZUREML_DATASET_ENVIRONMENT_VARS"
		cat below/it/a.txt; echo; cat "$1/b/c.txt"; echo "$2"
		cat `+absolute+`/a.txt; echo
		cat "$mounted/b/c.txt"; echo; ls -R "$mounted" | grep -c txt`)
	config.Command = append(config.Command, "sh", "DatasetConsumptionConfig:mounted", "--in=DatasetConsumptionConfig:number")
	config.Inputs = map[string]dataset.Input{
		"whole":    {Dataset: d},
		"number":   {ID: "texts", Mode: dataset.ModeDirect},
		"below":    {ID: "texts:1", PathOnCompute: "below/it"},
		"absolute": {ID: "azureml://datastores/" + dataStore(t, ws) + "/paths/in/", PathOnCompute: absolute},
		"mounted":  {ID: "texts:1", Mode: dataset.ModeMount},
	}
	r, out, err := submitted(t, ws, config)
	prepared := logOf(t, r, "system_logs/prepare.txt")
	require.NoError(t, err, prepared+out)
	mode := "mount"
	if strings.Contains(prepared, "instead of mounted") {
		mode = "download"
	}
	require.Equal(t, `PATH|PATH
onetwo
texts:1 absolute:download,below:download,mounted:`+mode+`,number:direct,whole:download
one
two--in=texts:1
one
two
2
`, out)
	require.Eventually(t, func() bool { // it is removed after the run's last status is known
		_, err := os.Lstat(absolute)
		return errors.Is(err, os.ErrNotExist)
	}, time.Minute, 10*time.Millisecond)
	require.Contains(t, prepared, "input whole: texts:1 is on this machine already", "below has fetched it")
}

func dataStore(t *testing.T, ws *workspace.Workspace) string {
	t.Helper()
	d, err := ws.Datastores().Default(t.Context(), nil)
	require.NoError(t, err)
	return d.Name()
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	ws := open(t)
	config := shell(t, `
		mkdir "$files/a" "$live/tmp"
		echo one > "$files/a/1.txt"; echo two > "$files/2.csv"; ln -s 2.csv "$files/link"
		printf 'n,s\n1,x\n2,y\n' > rows/part.csv
		echo draft > "$live/tmp/x"; mv "$live/tmp/x" "$live/y"
		echo "$AZUREML_DATASET_FILE_OUTPUTS"; test "$1" = "$files"`)
	config.Command = append(config.Command, "sh", "DatasetOutputConfig:files")
	config.Outputs = map[string]dataset.Output{
		"files": {Register: "files", Description: "text", Tags: map[string]string{"a": "b"}, Globs: []string{"**/*.txt", "link"}},
		"rows":  {Target: dataset.Path{Path: "tables/{run-id}"}, PathOnCompute: "rows", Register: "rows", Delimited: &dataset.DelimitedOptions{}},
		"live":  {Mode: dataset.ModeMount},
		"none":  {},
	}
	r, out, err := submitted(t, ws, config)
	require.NoError(t, err, out)
	require.Equal(t, "files;live;none;rows\n", out)
	files, err := ws.Datasets().Get(t.Context(), "files", 1, nil)
	require.NoError(t, err)
	got := files.Details()
	require.Equal(t, []string{"azureml://datastores/" + dataStore(t, ws) + "/paths/dataset/" + r.ID() + "/files/"}, got.Paths)
	require.Equal(t, []any{"text", map[string]string{"a": "b"}, r.ID(), "files", int64(1)}, []any{got.Description, got.Tags, got.RunID, got.Output, got.Files})
	rows, err := ws.Datasets().Get(t.Context(), "rows", 1, nil)
	require.NoError(t, err)
	type row struct {
		N int64
		S string
	}
	var table []row
	for one, err := range dataset.Rows[row](t.Context(), rows, nil) {
		require.NoError(t, err)
		table = append(table, row{one.N, strings.Clone(one.S)})
	}
	require.Equal(t, []row{{1, "x"}, {2, "y"}}, table)
	live := map[string]bool{}
	d, err := ws.Datastores().Default(t.Context(), nil)
	require.NoError(t, err)
	for f, err := range d.Files(t.Context(), "dataset/"+r.ID()+"/live/", nil) {
		require.NoError(t, err)
		live[f.Path] = true
	}
	require.Equal(t, map[string]bool{"dataset/" + r.ID() + "/live/y": true}, live)
	require.Equal(t, []string{"output files: link is no plain file and was not stored", "output none: the script has written no file into it"}, r.Details().Warnings)
}

func TestOutputsOfRunsThatFail(t *testing.T) {
	t.Parallel()
	ws := open(t)
	store(t, ws, map[string]string{"taken/a": "before"})
	for name, test := range map[string]struct {
		command string
		output  dataset.Output
		class   string
	}{
		"exit code":           {`echo 1 > "$out/a"; exit 3`, dataset.Output{}, "ended with exit code 3"},
		"a file is there":     {`echo 1 > "$out/a"; echo 2 > "$out/b"`, dataset.Output{Target: dataset.Path{Path: "taken"}}, "taken/a is there"},
		"nothing to register": {`true`, dataset.Output{}, "nothing is registered as failing"},
		"no table":            {`printf 'a\n"' > "$out/a.csv"`, dataset.Output{Delimited: &dataset.DelimitedOptions{}}, "a.csv"},
		"snapshot in it":      {`true`, dataset.Output{PathOnCompute: "full"}, "not empty"},
		"path is there":       {`true`, dataset.Output{PathOnCompute: os.TempDir()}, "is there already"},
	} {
		t.Run(name, func(t *testing.T) {
			config := shell(t, test.command)
			file(t, config.Source, "full/a", "x")
			test.output.Register = "failing"
			config.Outputs = map[string]dataset.Output{"out": test.output}
			_, _, err := submitted(t, ws, config)
			require.ErrorIs(t, err, azml.ErrFailed)
			require.ErrorContains(t, err, test.class)
			_, err = ws.Datasets().Get(t.Context(), "failing", dataset.Latest, nil)
			require.ErrorIs(t, err, azml.ErrNotFound, "nothing is registered")
		})
	}
	d, err := ws.Datastores().Default(t.Context(), nil)
	require.NoError(t, err)
	_, err = d.Stat(t.Context(), "taken/b", nil)
	require.ErrorIs(t, err, azml.ErrNotFound, "nothing was stored")
}

// TestQueryAsInput: the rows of a query come as Parquet, anew for each run, for
// nobody knows whether they have changed.
func TestQueryAsInput(t *testing.T) {
	t.Parallel()
	ws := open(t)
	path := filepath.Join(t.TempDir(), "shop.db")
	db, err := sqlite3.Open(path)
	require.NoError(t, err)
	require.NoError(t, errors.Join(db.Exec("CREATE TABLE sale (id INTEGER); INSERT INTO sale VALUES (1), (2)"), db.Close()))
	_, err = ws.Datastores().Register(t.Context(), "shop", datastore.SQLite{Path: path}, nil)
	require.NoError(t, err)
	d, err := ws.Datasets().FromSQLQuery(t.Context(), "shop", "SELECT id FROM sale", nil)
	require.NoError(t, err)
	config := shell(t, `head -c 4 "$sales"`)
	config.Inputs = map[string]dataset.Input{"sales": {Dataset: d}}
	for range 2 {
		r, out, err := submitted(t, ws, config)
		require.NoError(t, err)
		require.Equal(t, "PAR1", out)
		require.NotContains(t, logOf(t, r, "system_logs/prepare.txt"), "on this machine already")
		states, err := r.CheckInputs(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, []run.InputState{{Name: "sales", Dataset: d.ID()}}, states)
	}
}

// TestDatastoreOfOutputIsGone: a datastore that was unregistered while the script ran
// fails the run, which registers nothing.
func TestDatastoreOfOutputIsGone(t *testing.T) {
	t.Parallel()
	ws := open(t)
	_, err := ws.Datastores().Register(t.Context(), "away", datastore.Folder{Path: t.TempDir()}, nil)
	require.NoError(t, err)
	began := filepath.Join(t.TempDir(), "began")
	config := shell(t, `echo 1 > "$out/a"; touch "$1"; while test -e "$1"; do sleep 0.05; done`)
	config.Command = append(config.Command, "sh", began)
	config.Outputs = map[string]dataset.Output{"out": {Target: dataset.Path{Datastore: "away"}, Register: "out"}}
	r, err := create(t, ws.Experiments(), "data", nil).Submit(t.Context(), config, nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := os.Stat(began)
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	require.NoError(t, ws.Datastores().Unregister(t.Context(), "away", nil))
	require.NoError(t, os.Remove(began))
	err = r.Wait(t.Context(), nil)
	require.ErrorIs(t, err, azml.ErrFailed)
	require.ErrorContains(t, err, `output "out"`)
	_, err = ws.Datasets().Get(t.Context(), "out", dataset.Latest, nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
}

// TestDirectInputs: the ID alone costs nothing, so a run that gets it goes on also when
// the data has changed or is gone, which shows when somebody asks; unless the run
// wants to know.
func TestDirectInputs(t *testing.T) {
	t.Parallel()
	ws := open(t)
	files := store(t, ws, map[string]string{"in/a.txt": "one"})
	d := registered(t, ws, "texts", "in/")
	require.NoError(t, files.Delete(t.Context(), "in/a.txt", nil))
	config := shell(t, `echo "$in"`)
	config.Inputs = map[string]dataset.Input{"in": {Dataset: d, Mode: dataset.ModeDirect}}
	r, out, err := submitted(t, ws, config)
	require.NoError(t, err)
	require.Equal(t, "texts:1\n", out)
	require.Empty(t, r.Details().Warnings)
	in := r.Inputs()[0]
	require.Equal(t, d.FingerprintDigest(), in.Fingerprint)
	require.EqualValues(t, 1, in.Files)
	states, err := r.CheckInputs(t.Context(), nil)
	require.NoError(t, err)
	require.True(t, states[0].Changed)
	require.EqualValues(t, 1, states[0].Changes.Removed)

	config = shell(t, "true")
	config.Inputs = map[string]dataset.Input{"in": {Dataset: d, Mode: dataset.ModeDirect, RequireUnchanged: true}}
	_, _, err = submitted(t, ws, config)
	require.ErrorIs(t, err, azml.ErrFailed)
}

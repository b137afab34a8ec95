package e2e

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// putData stores a file in the default datastore and registers its folder.
func putData(t *testing.T, ws *workspace.Workspace, path, text string) *dataset.Dataset {
	t.Helper()
	store, err := ws.Datastores().Default(t.Context(), nil)
	require.NoError(t, err)
	_, err = store.Write(t.Context(), path, strings.NewReader(text), nil)
	require.NoError(t, err)
	d, err := ws.Datasets().FromFiles(t.Context(), []dataset.Path{{Path: filepath.Dir(path) + "/"}}, nil)
	require.NoError(t, err)
	d, err = d.Register(t.Context(), "in", nil)
	require.NoError(t, err)
	return d
}

// driveWithData runs a script that writes outputs and then says so in the file
// e.Dir, and goes on for e.Count seconds.
func driveWithData(ctx context.Context, ws *workspace.Workspace, e errand) error {
	source, err := os.MkdirTemp("", "azml-data-")
	if err != nil {
		return err
	}
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "data", nil)
	if err != nil {
		return err
	}
	r, err := exp.Submit(ctx, experiment.ScriptRunConfig{Source: source,
		Command: []string{"/bin/sh", "-euc", `cat "$mounted/a.txt"; echo 1 > "$out/a"; echo 2 > "$live/b"; echo done > "$1"; sleep "$2"`, "sh", e.Dir, strconv.Itoa(e.Count)},
		Inputs:  map[string]dataset.Input{"mounted": {ID: "in:1", Mode: dataset.ModeMount}, "copied": {ID: "in:1"}},
		Outputs: map[string]dataset.Output{"out": {Register: "out"}, "live": {Register: "live", Mode: dataset.ModeMount}},
	}, &experiment.SubmitOptions{RunID: e.Run})
	if err != nil {
		return err
	}
	return r.Wait(ctx, nil)
}

// TestKilledWithData: of a run whose driver was killed nothing is registered and
// nothing stays mounted; whoever meets it ends it, and what it has used is known.
func TestKilledWithData(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ws := p.open(t)
	in := putData(t, ws, "in/a.txt", "one")
	said := filepath.Join(t.TempDir(), "said")
	w := start(t, errand{Name: "data", Place: p, Run: "killed", Dir: said, Count: 600})
	require.Eventually(t, func() bool {
		_, err := os.Stat(said)
		return err == nil
	}, soon, 10*time.Millisecond)
	require.NoError(t, w.cmd.Process.Kill())
	_ = w.cmd.Wait()
	r, err := ws.Runs().Get(t.Context(), "killed", nil)
	require.NoError(t, err)
	require.Equal(t, run.StatusFailed, r.Status())
	require.Empty(t, r.Outputs())
	for _, name := range []string{"out", "live"} {
		_, err = ws.Datasets().Get(t.Context(), name, dataset.Latest, nil)
		require.ErrorIs(t, err, azml.ErrNotFound)
	}
	left, err := filepath.Glob(filepath.Join(p.Cache, "runs", "*", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
	if runtime.GOOS == "linux" {
		mounts, err := os.ReadFile("/proc/self/mounts")
		require.NoError(t, err)
		require.NotContains(t, string(mounts), p.Cache)
	}
	used := 0
	for c, err := range in.Consumers(t.Context(), nil) {
		require.NoError(t, err)
		require.Equal(t, "killed", c.RunID)
		used++
	}
	require.Equal(t, 2, used)
	clean(t, ws)
}

// TestDataWithoutFUSE: where nothing can be mounted, inputs are downloaded and
// outputs uploaded, and the log says so.
func TestDataWithoutFUSE(t *testing.T) {
	t.Parallel()
	unshare, err := exec.LookPath("unshare")
	if err != nil || os.Geteuid() != 0 {
		testenv.Skip(t, testenv.AbilityMount, "only root, with unshare, can take FUSE from a process")
	}
	p := newPlace(t)
	ws := p.open(t)
	putData(t, ws, "in/a.txt", "one")
	w := startAs(t, errand{Name: "data", Place: p, Run: "poor", Dir: filepath.Join(t.TempDir(), "said")},
		unshare, "--mount", "/bin/sh", "-euc", `mount --bind /dev/null /dev/fuse; exec "$0"`, os.Args[0])
	w.finish(t)
	r, err := ws.Runs().Get(t.Context(), "poor", nil)
	require.NoError(t, err)
	require.Equal(t, run.StatusCompleted, r.Status())
	require.Equal(t, []dataset.Mode{"download", "download", "upload", "upload"},
		[]dataset.Mode{r.Inputs()[0].Mode, r.Inputs()[1].Mode, r.Outputs()[0].Mode, r.Outputs()[1].Mode})
	live, err := ws.Datasets().Get(t.Context(), "live", 1, nil)
	require.NoError(t, err)
	require.Equal(t, int64(1), live.Details().Files)
	log, err := r.Logs(t.Context(), &run.LogsOptions{Name: "system_logs/prepare.txt"})
	require.NoError(t, err)
	text, err := io.ReadAll(log)
	require.NoError(t, errors.Join(err, log.Close()))
	require.Contains(t, string(text), "input mounted: it is downloaded instead of mounted")
	require.Contains(t, string(text), "output live: it is uploaded in the end instead of mounted")
}

// pythonData reads a table as pandas does any file, asks MLflow's interface what the
// run has used, and writes a table.
const pythonData = `
import json, os, sys, urllib.request
import pandas
frame = pandas.read_parquet(os.environ["people"])
print(dict(frame.dtypes.astype(str)), frame["age"].sum())
request = urllib.request.Request(os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/get?run_id=" + os.environ["MLFLOW_RUN_ID"],
    headers={"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"]})
for use in json.load(urllib.request.urlopen(request))["run"]["inputs"]["dataset_inputs"]:
    print(use["dataset"]["name"], use["dataset"]["source"], use["tags"], [c["name"] for c in json.loads(use["dataset"]["schema"])["mlflow_colspec"]])
frame["age"] += 1
frame.to_parquet(os.path.join(sys.argv[1], "older.parquet"))
`

func TestDataOfPythonScripts(t *testing.T) {
	t.Parallel()
	python := testenv.ParquetReaders(t)
	ws := newPlace(t).open(t)
	store, err := ws.Datastores().Default(t.Context(), nil)
	require.NoError(t, err)
	_, err = store.Write(t.Context(), "people.csv", strings.NewReader("name,age,born\nÄnne,40,1985-03-04\nBob,,\nCid,7,2018-01-02\n"), &datastore.WriteOptions{})
	require.NoError(t, err)
	people, err := ws.Datasets().FromDelimitedFiles(t.Context(), []dataset.Path{{Path: "people.csv"}}, nil)
	require.NoError(t, err)
	grown, err := people.Filter("age is not null")
	require.NoError(t, err)
	grown, err = grown.Register(t.Context(), "people", nil)
	require.NoError(t, err)
	source := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(source, "train.py"), []byte(pythonData), 0o600))
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "data", nil)
	require.NoError(t, err)
	r, err := exp.Submit(t.Context(), experiment.ScriptRunConfig{Source: source, Script: "train.py", Arguments: []string{"DatasetOutputConfig:older"},
		Environment: environment.Spec{Name: "bare", Python: environment.Python{UserManaged: true, InterpreterPath: python}},
		Variables:   map[string]string{"PYTHONIOENCODING": "utf-8"},
		Inputs:      map[string]dataset.Input{"people": {Dataset: grown}},
		Outputs:     map[string]dataset.Output{"older": {Register: "older", Parquet: &dataset.ParquetOptions{}}}}, nil)
	require.NoError(t, err)
	ended := r.Wait(t.Context(), nil)
	log, err := r.Logs(t.Context(), nil)
	require.NoError(t, err)
	text, err := io.ReadAll(log)
	require.NoError(t, err)
	require.NoError(t, log.Close())
	require.NoError(t, ended, "%s", text)
	lines := strings.Split(string(text), "\n")
	require.Contains(t, lines[0], "'age': 'int64'")
	require.True(t, strings.HasSuffix(lines[0], " 47"), lines[0])
	require.Equal(t, `people {"uri":"azureml:people:1"} [{'key': 'mlflow.data.context', 'value': 'people'}] ['name', 'age', 'born']`, lines[1])

	older, err := ws.Datasets().Get(t.Context(), "older", 1, nil)
	require.NoError(t, err)
	var ages []int64
	for p, err := range dataset.Rows[struct{ Age int64 }](t.Context(), older, nil) {
		require.NoError(t, err)
		ages = append(ages, p.Age)
	}
	require.Equal(t, []int64{41, 8}, ages)
	clean(t, ws)
}

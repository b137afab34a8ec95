package tensorboard_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/tfevents"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/tensorboard"
	"github.com/azml-go/azml/workspace"
)

func createExperiment(t *testing.T, ws *workspace.Workspace) *experiment.Experiment {
	t.Helper()
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "old", nil)
	require.NoError(t, err)
	return exp
}

// imports imports a folder and gives what was done, by folder.
func imports(t *testing.T, exp *experiment.Experiment, logdir string) map[string]tensorboard.Imported {
	t.Helper()
	list, err := tensorboard.Import(t.Context(), exp, logdir, nil)
	require.NoError(t, err)
	byFolder := map[string]tensorboard.Imported{}
	for _, i := range list {
		byFolder[i.Folder] = i
	}
	return byFolder
}

func get(t *testing.T, ws *workspace.Workspace, id string) *run.Run {
	t.Helper()
	r, err := ws.Runs().Get(t.Context(), id, nil)
	require.NoError(t, err)
	return r
}

func metrics(t *testing.T, r *run.Run, names ...string) []run.Metric {
	t.Helper()
	var list []run.Metric
	for m, err := range r.Metrics(t.Context(), &run.MetricsOptions{Names: names}) {
		require.NoError(t, err)
		list = append(list, m)
	}
	return list
}

func only(t *testing.T, r *run.Run, name string) any {
	t.Helper()
	list := metrics(t, r, name)
	require.Len(t, list, 1, name)
	return list[0].Value
}

func TestImportOfWhatOthersWrite(t *testing.T) {
	t.Parallel()
	python := testenv.TensorBoard(t)
	logdir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), python, "testdata/write.py", logdir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	ws := open(t)
	exp := createExperiment(t, ws)
	done := imports(t, exp, logdir)
	require.Len(t, done, 3)

	torch := get(t, ws, done["torch"].RunID)
	require.Equal(t, run.StatusCompleted, torch.Status())
	require.Equal(t, "torch", torch.Details().DisplayName)
	require.Empty(t, done["torch"].LeftOut)
	loss := metrics(t, torch, "train/loss")
	require.Len(t, loss, 51)
	for i, m := range loss[:50] {
		require.Equal(t, []any{int64(i), float64(float32(1 / float64(i+1)))}, []any{m.Step, m.Value})
		require.WithinDuration(t, time.Unix(1_700_000_000+int64(i), 250_000_000), m.Time, 0)
	}
	require.True(t, math.IsNaN(loss[50].Value.(float64)))
	require.Equal(t, "hello *you*", only(t, torch, "note/text_summary"))
	sum := 0.0
	for _, column := range only(t, torch, "weights").([]run.Column) {
		if column.Name == "count" {
			for _, n := range column.Values {
				sum += n.(float64)
			}
		}
	}
	require.Equal(t, 100.0, sum)
	picture, err := torch.Open(t.Context(), only(t, torch, "picture").(string))
	require.NoError(t, err)
	data, err := io.ReadAll(picture)
	require.NoError(t, err)
	require.NoError(t, picture.Close())
	require.Equal(t, "\x89PNG", string(data[:4]))

	best := get(t, ws, done["torch/best"].RunID)
	require.Equal(t, map[string]string{"lr": "0.1", "opt": "sgd", "fast": "true"}, best.Details().Params)
	require.Equal(t, float64(float32(0.9)), only(t, best, "accuracy"))

	tf := get(t, ws, done["tf"].RunID)
	require.Equal(t, map[string]int64{"graph": 1, "values of an unknown form": 2}, done["tf"].LeftOut)
	for i, m := range metrics(t, tf, "epoch_loss") {
		require.Equal(t, []any{int64(i), float64(float32(float64(i) / 3))}, []any{m.Step, m.Value})
	}
	require.Equal(t, "hello", only(t, tf, "note"))
	require.Equal(t, []any{"a", "b"}, only(t, tf, "notes"))
	require.Equal(t, []any{1.5, 2.5, 3.5}, only(t, tf, "vector"))
	require.Equal(t, []run.Column{{Name: "count", Values: []any{25.0, 25.0, 25.0, 25.0}}, {Name: "left", Values: []any{0.0, 24.75, 49.5, 74.25}},
		{Name: "right", Values: []any{24.75, 49.5, 74.25, 99.0}}}, only(t, tf, "weights"))
	require.Len(t, metrics(t, tf, "picture"), 2)
	for _, name := range []string{"half", "double", "int", "bool"} {
		require.Equal(t, 1.0, only(t, tf, "tensor/"+name))
	}

	for folder, i := range imports(t, exp, logdir) {
		require.Equal(t, tensorboard.Unchanged, i.Outcome, folder)
		require.Equal(t, done[folder].RunID, i.RunID)
	}
	require.Len(t, metrics(t, get(t, ws, done["torch"].RunID), "train/loss"), 51)
	alone := imports(t, exp, filepath.Join(logdir, "tf")) // the same folder by another way
	require.Equal(t, tensorboard.Unchanged, alone["."].Outcome)
}

// scalarEvents gives the records of values of "loss" at the steps from to to-1.
func scalarEvents(from, to int) []byte {
	var out []byte
	for i := from; i < to; i++ {
		e := tfevents.Event{WallTime: 1e9 + float64(i), Step: int64(i), Values: []tfevents.Value{{Tag: "loss", Data: float32(i)}}}
		out = tfevents.AppendRecord(out, e.Append(nil))
	}
	return out
}

func header() []byte {
	e := tfevents.Event{WallTime: 1e9, FileVersion: tfevents.FileVersion}
	return tfevents.AppendRecord(nil, e.Append(nil))
}

func write(t *testing.T, path string, parts ...[]byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, bytes.Join(parts, nil), 0o644))
}

func TestImportOfWhatGrows(t *testing.T) {
	t.Parallel()
	ws := open(t)
	exp := createExperiment(t, ws)
	logdir := t.TempDir()
	path := filepath.Join(logdir, "a", "events.out.tfevents.1.x")
	whole := append(header(), scalarEvents(0, 100)...)
	write(t, path, whole[:len(whole)-5]) // the last record is on its way
	done := imports(t, exp, logdir)["a"]
	require.Equal(t, tensorboard.Created, done.Outcome)
	require.EqualValues(t, 99, done.Values)
	require.Empty(t, done.LeftOut)
	r := get(t, ws, done.RunID)
	require.NoError(t, r.Tag(t.Context(), "team", "risk"))

	write(t, path, whole, scalarEvents(100, 120))
	write(t, filepath.Join(logdir, "a", "events.out.tfevents.2.x"), header(), scalarEvents(120, 150))
	again := imports(t, exp, logdir)["a"]
	require.Equal(t, tensorboard.Replaced, again.Outcome)
	require.Equal(t, done.RunID, again.RunID)
	r = get(t, ws, done.RunID)
	require.Equal(t, "risk", r.Details().Tags["team"])
	loss := metrics(t, r)
	require.Len(t, loss, 150)
	for i, m := range loss {
		require.Equal(t, []any{int64(i), float64(i)}, []any{m.Step, m.Value})
	}

	require.NoError(t, os.Remove(filepath.Join(logdir, "a", "events.out.tfevents.2.x")))
	shrunk := imports(t, exp, logdir)["a"]
	require.Equal(t, tensorboard.Kept, shrunk.Outcome)
	require.Contains(t, shrunk.Reason, "less")
	require.Len(t, metrics(t, get(t, ws, done.RunID)), 150)

	require.NoError(t, r.Upload(t.Context(), "outputs/report.txt", bytes.NewReader([]byte("mine")), nil))
	write(t, path, whole, scalarEvents(100, 300))
	mine := imports(t, exp, logdir)["a"]
	require.Equal(t, tensorboard.Kept, mine.Outcome)
	require.Contains(t, mine.Reason, "outputs/report.txt")
}

func TestImportOfDamagedFiles(t *testing.T) {
	t.Parallel()
	ws := open(t)
	exp := createExperiment(t, ws)
	logdir := t.TempDir()
	good := append(header(), scalarEvents(0, 10)...)
	record := int64(len(scalarEvents(9, 10)))
	flip := func(at int64) []byte {
		data := bytes.Clone(good)
		data[at] ^= 1
		return data
	}
	last := int64(len(good)) - record
	write(t, filepath.Join(logdir, "data", "x.tfevents.1"), flip(last-record+20))
	write(t, filepath.Join(logdir, "head", "x.tfevents.1"), flip(last+3))
	write(t, filepath.Join(logdir, "absurd", "x.tfevents.1"), good, binary.LittleEndian.AppendUint64(nil, 1<<62), []byte("1234"))
	write(t, filepath.Join(logdir, "none", "x.tfevents.1"))
	write(t, filepath.Join(logdir, "junk", "x.tfevents.1"), []byte("this is no event file at all"))
	done := imports(t, exp, logdir)
	require.Len(t, done, 3, "folders without an event are no runs")
	for folder, want := range map[string]struct{ values, offset int64 }{
		"data": {9, last - record}, "head": {9, last}, "absurd": {10, last + record},
	} {
		require.Equal(t, want.values, done[folder].Values, folder)
		require.Len(t, done[folder].Damaged, 1, folder)
		require.Equal(t, want.offset, done[folder].Damaged[0].Offset, folder)
		require.Equal(t, folder+"/x.tfevents.1", done[folder].Damaged[0].File)
		require.EqualValues(t, 1, done[folder].LeftOut["damaged records"])
	}
	_, err := tensorboard.Import(t.Context(), exp, t.TempDir(), nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = tensorboard.Import(t.Context(), exp, filepath.Join(logdir, "nope"), nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	write(t, filepath.Join(logdir, "copy", "data", "x.tfevents.1"), good)
	_, err = tensorboard.Import(t.Context(), exp, logdir, nil)
	require.ErrorIs(t, err, azml.ErrConflict)
}

func TestImportCutOffIsBegunAgain(t *testing.T) {
	t.Parallel()
	ws := open(t)
	exp := createExperiment(t, ws)
	logdir := t.TempDir()
	const values = 50_000
	write(t, filepath.Join(logdir, "x.tfevents.1"), header(), scalarEvents(0, values))
	ctx, stop := context.WithCancel(t.Context())
	_, err := tensorboard.Import(ctx, exp, logdir, &tensorboard.ImportOptions{Progress: func(tensorboard.Imported) { stop() }})
	require.ErrorIs(t, err, context.Canceled)
	done := imports(t, exp, logdir)["."]
	require.Equal(t, tensorboard.Replaced, done.Outcome)
	require.EqualValues(t, values, done.Values)
	require.Len(t, metrics(t, get(t, ws, done.RunID)), values)
}

// What was exported and is imported again is what it was, in TensorBoard's
// terms.
func TestExportedIsImported(t *testing.T) {
	t.Parallel()
	ws := open(t)
	r := start(t, ws, &experiment.RunOptions{RunID: "origin"})
	require.NoError(t, r.LogParams(t.Context(), map[string]any{"lr": 0.1, "opt": "adam"}))
	logEverything(t, r)
	require.NoError(t, r.Complete(t.Context()))
	logdir := t.TempDir()
	export(t, logdir, r, nil)
	done := imports(t, createExperiment(t, ws), logdir)["churn_1.origin"]
	copied := get(t, ws, done.RunID)
	require.Equal(t, r.Details().Params, copied.Details().Params)
	require.Equal(t, map[string]int64{"values of plugin pr_curves": 1}, done.LeftOut)
	was, is := metrics(t, r, "system/cpu", "note"), metrics(t, copied, "system/cpu", "note")
	require.Len(t, is, len(was))
	for i := range was {
		value := was[i].Value
		require.Equal(t, fmt.Sprint(was[i].Name, was[i].Step, value), fmt.Sprint(is[i].Name, is[i].Step, is[i].Value))
		require.WithinDuration(t, was[i].Time, is[i].Time, time.Microsecond)
	}
	require.Len(t, metrics(t, copied, "loss"), 21)
	file, err := copied.Open(t.Context(), only(t, copied, "picture").(string))
	require.NoError(t, err)
	require.NoError(t, file.Close())
}

// importAsProcess is the test's program as an importer: into the workspace in a
// folder, of another folder.
func importAsProcess(args []string) error {
	ctx := context.Background()
	ws, err := workspace.Open(ctx, filepath.Join(args[0], "ws"), workspacetest.Options(args[0]))
	if err != nil {
		return err
	}
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "old", nil)
	if err != nil {
		return err
	}
	_, err = tensorboard.Import(ctx, exp, args[1], nil)
	return err
}

func TestImporterKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills processes; left out in short mode")
	}
	home, logdir := t.TempDir(), t.TempDir()
	ws := reopen(t, home)
	exp := createExperiment(t, ws)
	const values = 400_000
	write(t, filepath.Join(logdir, "x.tfevents.1"), header(), scalarEvents(0, values))
	cmd := process(t, asImporter, home, logdir)
	require.Eventually(t, func() bool { // it is in the middle of it
		for r, err := range exp.Runs(t.Context(), nil) {
			require.NoError(t, err)
			if r.Status() == run.StatusRunning && len(metrics(t, r)) > 0 {
				_, err := tensorboard.Import(t.Context(), exp, logdir, nil)
				require.ErrorIs(t, err, azml.ErrConflict, "another process is at it")
				return true
			}
		}
		return false
	}, wait, time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	done := imports(t, exp, logdir)["."]
	require.Equal(t, tensorboard.Replaced, done.Outcome)
	list := metrics(t, get(t, ws, done.RunID))
	require.Len(t, list, values)
	for i, m := range list {
		require.Equal(t, int64(i), m.Step)
	}
}

// What a file grows by while it is imported comes with the next import.
func TestImportWhileTheFileGrows(t *testing.T) {
	t.Parallel()
	ws := open(t)
	exp := createExperiment(t, ws)
	logdir := t.TempDir()
	path := filepath.Join(logdir, "x.tfevents.1")
	write(t, path, header(), scalarEvents(0, 15_000))
	grown := false
	list, err := tensorboard.Import(t.Context(), exp, logdir, &tensorboard.ImportOptions{Progress: func(i tensorboard.Imported) {
		if !grown {
			grown = true
			write(t, path, header(), scalarEvents(0, 16_000))
		}
	}})
	require.NoError(t, err)
	require.EqualValues(t, 15_000, list[0].Values)
	again := imports(t, exp, logdir)["."]
	require.Equal(t, tensorboard.Replaced, again.Outcome)
	require.Len(t, metrics(t, get(t, ws, again.RunID)), 16_000)
}

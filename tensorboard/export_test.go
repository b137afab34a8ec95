package tensorboard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/tensorboard"
	"github.com/azml-go/azml/workspace"
)

func start(t *testing.T, ws *workspace.Workspace, opts *experiment.RunOptions) *run.Run {
	t.Helper()
	e, err := ws.Experiments().CreateOrUpdate(t.Context(), "churn", nil)
	require.NoError(t, err)
	r, err := e.StartLogging(t.Context(), opts)
	require.NoError(t, err)
	return r
}

// export exports one run and gives what was done.
func export(t *testing.T, dir string, r *run.Run, opts *tensorboard.ExportOptions) tensorboard.Exported {
	t.Helper()
	done, err := tensorboard.Export(t.Context(), []*run.Run{r}, dir, opts)
	require.NoError(t, err)
	require.Len(t, done, 1)
	require.Equal(t, r.ID(), done[0].RunID)
	return done[0]
}

func at(i int) *run.LogOptions {
	return &run.LogOptions{Step: int64(i), Time: time.Unix(1_700_000_000+int64(i), 250_000_000)}
}

func picture() image.Image {
	img := image.NewRGBA(image.Rect(0, 0, 3, 2))
	img.Set(1, 1, color.RGBA{200, 10, 10, 255})
	return img
}

// logEverything logs a value of each kind.
func logEverything(t *testing.T, r *run.Run) {
	t.Helper()
	ctx := t.Context()
	for i := range 20 {
		require.NoError(t, r.Log("loss", 1/float64(i+1), at(i*10)))
		require.NoError(t, r.Log("stepless", i*i, &run.LogOptions{Time: at(i).Time}))
		require.NoError(t, r.Log("system/cpu", float64(i), at(i)))
	}
	require.NoError(t, r.Log("loss", math.NaN(), at(300)))
	require.NoError(t, r.Log("nothing", nil, at(1)))
	require.NoError(t, r.Log("good", true, at(1)))
	require.NoError(t, r.Log("note", "it *works*", at(3)))
	require.NoError(t, r.Log("mixed", 1, at(1)))
	require.NoError(t, r.Log("mixed", "two", at(2)))
	require.NoError(t, r.LogList("list", []float64{3, 1, 2}, at(0)))
	require.NoError(t, r.LogList("list", []float64{5, 4}, at(7)))
	require.NoError(t, r.LogList("names", []string{"a", "b"}, nil))
	for i := range 3 {
		require.NoError(t, r.LogRow("table", map[string]any{"auc": float64(i) / 4, "fold": fmt.Sprint("f", i)}, &run.LogOptions{Time: at(i).Time}))
	}
	require.NoError(t, r.LogImage(ctx, "picture", picture(), at(5)))
	require.NoError(t, r.LogConfusionMatrix(ctx, "confusion", run.ConfusionMatrix{ClassLabels: []string{"cat", "dog"}, Matrix: [][]int{{9, 1}, {2, 8}}}, nil))
	require.NoError(t, r.LogResiduals(ctx, "residuals", run.Residuals{BinEdges: []float64{-1, 0, 2}, BinCounts: []int{4, 6}}, nil))
	require.NoError(t, r.LogPredictions(ctx, "predictions", run.Predictions{BinAverages: []float64{1}, BinErrors: []float64{2}, BinCounts: []int{3}, BinEdges: []float64{4, 5}}, nil))
	require.NoError(t, r.LogAccuracyTable(ctx, "accuracy", run.AccuracyTable{
		ProbabilityTables: [][][4]int{{{5, 5, 0, 0}, {4, 1, 4, 1}, {0, 0, 5, 5}}}, ProbabilityThresholds: []float64{0, 0.5, 1},
		PercentileTables: [][][4]int{{}}, ClassLabels: []string{"yes"},
	}, nil))
}

func TestTensorBoardShowsEveryKind(t *testing.T) {
	t.Parallel()
	ws := open(t)
	r := start(t, ws, &experiment.RunOptions{RunID: "all-1", DisplayName: "lr=0.1/best"})
	require.NoError(t, r.LogParams(t.Context(), map[string]any{"lr": 0.1, "optimizer": "adam", "nesterov": true}))
	logEverything(t, r)
	require.NoError(t, r.Complete(t.Context()))
	dir := t.TempDir()
	done := export(t, dir, r, nil)
	require.Equal(t, filepath.Join(dir, "lr=0.1_best.all-1"), done.Dir)
	require.Equal(t, map[string]int64{"values that are nothing": 1}, done.LeftOut)
	name := filepath.Base(done.Dir)

	tb := serve(t, dir)
	loss := tb.awaitScalars(t, name, "loss", 21)
	for i := range 20 {
		require.Equal(t, point{1_700_000_000.25 + float64(i*10), float64(i * 10), float64(float32(1 / float64(i+1)))}, loss[i])
	}
	require.Equal(t, point{1_700_000_300.25, 300.0, "NaN"}, loss[20])
	for i, p := range tb.awaitScalars(t, name, "stepless", 20) {
		require.Equal(t, point{1_700_000_000.25 + float64(i), float64(i), float64(i * i)}, p)
	}
	require.Len(t, tb.scalars(t, name, "system/cpu"), 20)
	require.Equal(t, 1.0, tb.scalars(t, name, "good")[0][2])
	var list []any
	for i, p := range tb.awaitScalars(t, name, "list", 5) {
		require.Equal(t, float64(i), p[1])
		list = append(list, p[2])
	}
	require.Equal(t, []any{3.0, 1.0, 2.0, 5.0, 4.0}, list)
	for i, p := range tb.awaitScalars(t, name, "table/auc", 3) {
		require.Equal(t, []any{float64(i), float64(i) / 4}, p[1:])
	}
	require.Equal(t, 1.0, tb.scalars(t, name, "mixed")[0][2])

	note := tb.texts(t, name, "note")
	require.Equal(t, []text{{3, "<p>it <em>works</em></p>"}}, note)
	require.Contains(t, tb.texts(t, name, "mixed/text")[0].Text, "two")
	require.Contains(t, tb.texts(t, name, "names")[0].Text, "<li>b</li>")
	require.Contains(t, tb.texts(t, name, "table")[0].Text, "<td>f0</td>")
	require.Contains(t, tb.texts(t, name, "confusion")[0].Text, "<td>9</td>")
	require.Contains(t, tb.texts(t, name, "predictions")[0].Text, "<td>5</td>")

	checkImage(t, tb, name)
	var histograms [][]any
	require.True(t, tb.get(t, &histograms, "plugin/histograms/histograms", "run", name, "tag", "residuals"))
	require.Len(t, histograms, 1)
	require.Contains(t, fmt.Sprint(histograms), "[[-1 0 4] [0 2 6]]")
	var curves map[string][]struct {
		Precision, Recall, Thresholds []float64
		TP                            []float64 `json:"true_positives"`
	}
	require.True(t, tb.get(t, &curves, "plugin/pr_curves/pr_curves", "run", name, "tag", "accuracy/yes"))
	require.Equal(t, []float64{5, 4}, curves[name][0].TP)
	require.InDeltaSlice(t, []float64{0.5, 0.8}, curves[name][0].Precision, 1e-6)
	checkHParams(t, tb, name)
}

func checkImage(t *testing.T, tb *server, name string) {
	t.Helper()
	var images []struct {
		Query string
		Step  int64
	}
	require.True(t, tb.get(t, &images, "plugin/images/images", "run", name, "tag", "picture", "sample", "0"))
	require.Len(t, images, 1)
	require.EqualValues(t, 5, images[0].Step)
	var data []byte
	require.True(t, tb.get(t, &data, "plugin/images/individualImage", queryOf(images[0].Query)...))
	got, err := png.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	require.Equal(t, color.NRGBAModel.Convert(picture().At(1, 1)), color.NRGBAModel.Convert(got.At(1, 1)))
}

func queryOf(query string) (out []string) {
	for _, part := range strings.Split(query, "&") {
		key, value, _ := strings.Cut(part, "=")
		out = append(out, key, value)
	}
	return out
}

func checkHParams(t *testing.T, tb *server, name string) {
	t.Helper()
	const ask = `{"experimentName": "", "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING", "STATUS_UNKNOWN"],
		"colParams": [{"hparam": "lr", "includeInResult": true}, {"hparam": "optimizer", "includeInResult": true},
			{"hparam": "nesterov", "includeInResult": true}, {"metric": {"group": "", "tag": "stepless"}, "includeInResult": true}], "startIndex": 0, "sliceSize": 10}`
	var groups struct {
		SessionGroups []struct {
			HParams      map[string]any
			MetricValues []struct {
				Name  struct{ Tag string }
				Value any // NaN is a text
			}
			Sessions []struct {
				Name, Status string
			}
		}
	}
	require.True(t, tb.do(t, &groups, "POST", "plugin/hparams/session_groups", ask))
	require.Len(t, groups.SessionGroups, 1)
	group := groups.SessionGroups[0]
	require.Equal(t, map[string]any{"lr": 0.1, "optimizer": "adam", "nesterov": true}, group.HParams)
	require.Equal(t, name, group.Sessions[0].Name)
	require.Equal(t, "STATUS_SUCCESS", group.Sessions[0].Status)
	last := map[string]any{}
	for _, m := range group.MetricValues {
		last[m.Name.Tag] = m.Value
	}
	require.Equal(t, 361.0, last["stepless"])
}

// exportAsProcess is the test's program as an exporter: of the workspace in a
// folder, into another folder, of a run.
func exportAsProcess(args []string) error {
	ctx := context.Background()
	ws, err := workspace.Open(ctx, filepath.Join(args[0], "ws"), workspacetest.Options(args[0]))
	if err != nil {
		return err
	}
	r, err := ws.Runs().Get(ctx, args[2], nil)
	if err != nil {
		return err
	}
	_, err = tensorboard.Export(ctx, []*run.Run{r}, args[1], &tensorboard.ExportOptions{Follow: true})
	return err
}

// process starts the test's program as an exporter or importer.
func process(t *testing.T, as string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), as+"="+strings.Join(args, "|"))
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	return cmd
}

func TestExporterKilledWhileFollowing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills processes; left out in short mode")
	}
	testenv.TensorBoard(t)
	home, dir := t.TempDir(), t.TempDir()
	ws := reopen(t, home)
	r := start(t, ws, &experiment.RunOptions{RunID: "killed", DisplayName: "k"})
	tb := serve(t, dir)
	logged := 0
	size := func() (sum int64) {
		files, err := filepath.Glob(filepath.Join(dir, "k.killed", "*tfevents*"))
		require.NoError(t, err)
		for _, f := range files {
			if info, err := os.Stat(f); err == nil {
				sum += info.Size()
			}
		}
		return sum
	}
	for range 6 {
		cmd := process(t, asExporter, home, dir, "killed")
		before := size()
		require.Eventually(t, func() bool { // until the exporter is in the middle of it
			for range 500 {
				require.NoError(t, r.Log("loss", float64(logged), at(logged)))
				require.NoError(t, r.LogList("list", []int{logged, -logged, 7}, nil))
				logged++
			}
			return size() > before
		}, wait, 10*time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
	}
	last := process(t, asExporter, home, dir, "killed")
	require.NoError(t, r.Complete(t.Context()))
	require.NoError(t, last.Wait())
	for i, p := range tb.awaitScalars(t, "k.killed", "loss", logged) {
		require.Equal(t, []any{float64(i), float64(i)}, p[1:])
	}
	for i, p := range tb.awaitScalars(t, "k.killed", "list", 3*logged) {
		require.Equal(t, []any{float64(i), []float64{float64(i / 3), -float64(i / 3), 7}[i%3]}, p[1:])
	}
	// The same with nothing new writes nothing.
	before := size()
	done := export(t, dir, r, nil)
	require.Zero(t, done.Values)
	require.Equal(t, before, size())
}

func TestExportTwiceAtOnce(t *testing.T) {
	t.Parallel()
	ws := open(t)
	r := start(t, ws, nil)
	dir := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	began, ended := make(chan struct{}), make(chan error)
	go func() {
		var once bool
		_, err := tensorboard.Export(ctx, []*run.Run{r}, dir, &tensorboard.ExportOptions{Follow: true, Progress: func(tensorboard.Exported) {
			if !once {
				once = true
				close(began)
			}
		}})
		ended <- err
	}()
	<-began
	_, err := tensorboard.Export(t.Context(), []*run.Run{r}, dir, nil)
	require.ErrorIs(t, err, azml.ErrConflict)
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// accumulate prints what TensorBoard's own library reads, as JSON.
const accumulate = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
ea = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "images": 0, "histograms": 0})
ea.Reload()
print(json.dumps({
    "scalars": {t: [[e.wall_time, e.step, e.value] for e in ea.Scalars(t)] for t in ea.Tags()["scalars"] if t != "loss"},
    "images": {t: [[e.step, e.width, e.height] for e in ea.Images(t)] for t in ea.Tags()["images"]},
    "histograms": {t: [[e.step, e.histogram_value.num] for e in ea.Histograms(t)] for t in ea.Tags()["histograms"]},
}))`

func TestEventAccumulatorReadsAll(t *testing.T) {
	t.Parallel()
	python := testenv.TensorBoard(t)
	ws := open(t)
	r := start(t, ws, nil)
	logEverything(t, r)
	require.NoError(t, r.Complete(t.Context()))
	done := export(t, t.TempDir(), r, nil)
	out, err := exec.CommandContext(t.Context(), python, "-c", accumulate, done.Dir).Output()
	require.NoError(t, err)
	var got struct{ Scalars, Images, Histograms map[string][][]float64 }
	require.NoError(t, json.Unmarshal(out, &got))
	require.Equal(t, [][]float64{{5, 3, 2}}, got.Images["picture"])
	require.Equal(t, [][]float64{{0, 10}}, got.Histograms["residuals"])
	require.Len(t, got.Scalars, 6)
	for i, e := range got.Scalars["system/cpu"] {
		require.Equal(t, []float64{1_700_000_000.25 + float64(i), float64(i), float64(i)}, e)
	}
	require.Len(t, got.Scalars["system/cpu"], 20)
}

// The reader that TensorBoard falls back to looks at the last file only.
func TestSlowTensorBoardFollows(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a server; left out in short mode")
	}
	ws := open(t)
	r := start(t, ws, &experiment.RunOptions{RunID: "slow", DisplayName: "s"})
	require.NoError(t, r.LogParam(t.Context(), "lr", 1))
	dir := t.TempDir()
	ended := make(chan error)
	go func() {
		_, err := tensorboard.Export(t.Context(), []*run.Run{r}, dir, &tensorboard.ExportOptions{Follow: true})
		ended <- err
	}()
	require.NoError(t, r.Log("loss", 1.0, at(0)))
	tb := serve(t, dir, "--load_fast=false")
	tb.awaitScalars(t, "s.slow", "loss", 1)
	require.NoError(t, r.LogParam(t.Context(), "late", 2))
	for i := 1; i < 50; i++ {
		require.NoError(t, r.Log("loss", 1.0, at(i)))
	}
	tb.awaitScalars(t, "s.slow", "loss", 50)
	require.NoError(t, r.Complete(t.Context()))
	require.NoError(t, <-ended)
}

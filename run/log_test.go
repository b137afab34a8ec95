package run_test

import (
	"encoding/json"
	"fmt"
	"image"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// start starts a run of a new workspace.
func start(t *testing.T) *run.Run {
	t.Helper()
	return startIn(t, open(t), nil)
}

func startIn(t *testing.T, ws *workspace.Workspace, opts *experiment.RunOptions) *run.Run {
	t.Helper()
	e, err := ws.Experiments().CreateOrUpdate(t.Context(), "e", nil)
	require.NoError(t, err)
	r, err := e.StartLogging(t.Context(), opts)
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

func TestLogEveryKind(t *testing.T) {
	t.Parallel()
	r := start(t)
	require.NoError(t, r.Log("loss", 0.5, &run.LogOptions{Step: 3}))
	require.NoError(t, r.Log("loss", math.NaN(), nil))
	require.NoError(t, r.Log("loss", math.Inf(-1), nil))
	require.NoError(t, r.Log("count", 7, nil))
	require.NoError(t, r.Log("name", "x", nil))
	require.NoError(t, r.Log("ok", true, nil))
	require.NoError(t, r.Log("none", nil, nil))
	require.NoError(t, r.LogList("list", []int{1, 2}, nil))
	require.NoError(t, r.LogList("empty", []float64{}, nil))
	require.NoError(t, r.LogRow("table", map[string]any{"a": 1, "b": "x"}, nil))
	require.NoError(t, r.LogTable("table", map[string]any{"a": []int{2, 3}, "b": []string{"y", "z"}}, nil))
	require.NoError(t, r.LogTable("nothing", nil, nil))
	require.NoError(t, r.Flush(t.Context()))

	loss := metrics(t, r, "loss")
	require.Len(t, loss, 3)
	require.Equal(t, run.MetricScalar, loss[0].Kind)
	require.EqualValues(t, 3, loss[0].Step)
	require.Equal(t, 0.5, loss[0].Value)
	require.True(t, math.IsNaN(loss[1].Value.(float64)))
	require.Equal(t, math.Inf(-1), loss[2].Value)
	for name, want := range map[string]any{"count": int64(7), "name": "x", "ok": true, "none": nil, "list": []any{int64(1), int64(2)}} {
		require.Equal(t, want, metrics(t, r, name)[0].Value, name)
	}
	table := metrics(t, r, "table")
	require.Len(t, table, 2)
	require.Equal(t, []run.Column{{Name: "a", Values: []any{int64(2), int64(3)}}, {Name: "b", Values: []any{"y", "z"}}}, table[1].Value)
	number, ok := metrics(t, r, "count")[0].Number()
	require.True(t, ok)
	require.Equal(t, 7.0, number)
	sums, err := r.Summaries(t.Context())
	require.NoError(t, err)
	require.Len(t, sums, 7)
	require.EqualValues(t, 3, sums["loss"].Count)
	require.EqualValues(t, 1, sums["loss"].NaNs)
	require.Equal(t, 0.5, sums["loss"].Max)
	require.Equal(t, math.Inf(-1), sums["loss"].Min)
	require.NoError(t, r.Complete(t.Context()))
	require.Len(t, metrics(t, r), 10)
}

func TestLogRefuses(t *testing.T) {
	t.Parallel()
	r := start(t)
	require.NoError(t, r.Log("scalar", 1.0, nil))
	for name, err := range map[string]error{
		"a list in Log":    r.Log("x", []float64{1}, nil),
		"a map in Log":     r.Log("x", map[string]any{}, nil),
		"no name":          r.Log("", 1.0, nil),
		"name no UTF-8":    r.Log("\xff", 1.0, nil),
		"another kind":     r.LogList("scalar", []int{1}, nil),
		"nested list":      r.LogList("x", []any{[]int{1}}, nil),
		"a list in a row":  r.LogRow("x", map[string]any{"a": []int{1}}, nil),
		"columns unequal":  r.LogTable("x", map[string]any{"a": []int{1}, "b": []int{1, 2}}, nil),
		"matrix":           r.LogConfusionMatrix(t.Context(), "x", run.ConfusionMatrix{ClassLabels: []string{"a"}, Matrix: [][]int{{1, 2}}}, nil),
		"residuals":        r.LogResiduals(t.Context(), "x", run.Residuals{BinEdges: []float64{1}, BinCounts: []int{1}}, nil),
		"residuals, NaN":   r.LogResiduals(t.Context(), "x", run.Residuals{BinEdges: []float64{1, math.NaN()}, BinCounts: []int{1}}, nil),
		"predictions":      r.LogPredictions(t.Context(), "x", run.Predictions{}, nil),
		"accuracy":         r.LogAccuracyTable(t.Context(), "x", run.AccuracyTable{ClassLabels: []string{"a"}}, nil),
		"image of no size": r.LogImage(t.Context(), "x", image.NewRGBA(image.Rect(0, 0, 0, 0)), nil),
		"no image":         r.LogImageFile(t.Context(), "x", file(t, t.TempDir(), "x.png", "text"), nil),
	} {
		require.ErrorIs(t, err, azml.ErrInvalid, name)
		require.ErrorContains(t, err, r.ID(), name)
	}
	require.ErrorIs(t, r.LogImageFile(t.Context(), "x", "/none.png", nil), azml.ErrNotFound)
	require.NoError(t, r.Complete(t.Context()))
	require.ErrorIs(t, r.Log("scalar", 1.0, nil), azml.ErrClosed)
	require.ErrorIs(t, r.LogImage(t.Context(), "late", image.NewRGBA(image.Rect(0, 0, 1, 1)), nil), azml.ErrClosed)
	require.ErrorIs(t, r.LogParam(t.Context(), "late", 1), azml.ErrClosed)
	files, err := r.Files(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, files, "what was refused left no file")
	require.Len(t, metrics(t, r), 1)
}

func TestChartsHaveAzureMLsSchemas(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := start(t)
	require.NoError(t, r.LogConfusionMatrix(ctx, "confusion", run.ConfusionMatrix{ClassLabels: []string{"a", "b"}, Matrix: [][]int{{1, 2}, {3, 4}}}, nil))
	require.NoError(t, r.LogResiduals(ctx, "residuals", run.Residuals{BinEdges: []float64{0, 1, 2}, BinCounts: []int{3, 4}}, nil))
	require.NoError(t, r.LogPredictions(ctx, "predictions", run.Predictions{BinAverages: []float64{1}, BinErrors: []float64{0.5}, BinCounts: []int{2},
		BinEdges: []float64{0, 1}}, &run.LogOptions{Step: 5}))
	counts := [][][4]int{{{1, 2, 3, 4}}}
	require.NoError(t, r.LogAccuracyTable(ctx, "accuracy", run.AccuracyTable{ClassLabels: []string{"a"}, ProbabilityTables: counts, PercentileTables: counts,
		ProbabilityThresholds: []float64{0.5}, PercentileThresholds: []float64{0.5}}, nil))
	require.NoError(t, r.LogImage(ctx, "image", image.NewRGBA(image.Rect(0, 0, 2, 2)), nil))
	for name, want := range map[string]string{
		"confusion":   `{"data":{"class_labels":["a","b"],"matrix":[[1,2],[3,4]]},"schema_type":"confusion_matrix","schema_version":"1.0.0"}`,
		"residuals":   `{"data":{"bin_edges":[0,1,2],"bin_counts":[3,4]},"schema_type":"residuals","schema_version":"1.0.0"}`,
		"predictions": `{"data":{"bin_averages":[1],"bin_errors":[0.5],"bin_counts":[2],"bin_edges":[0,1]},"schema_type":"predictions","schema_version":"1.0.0"}`,
		"accuracy": `{"data":{"probability_tables":[[[1,2,3,4]]],"percentile_tables":[[[1,2,3,4]]],"probability_thresholds":[0.5],` +
			`"percentile_thresholds":[0.5],"class_labels":["a"]},"schema_type":"accuracy_table","schema_version":"1.0.1"}`,
	} {
		m := metrics(t, r, name)[0]
		content, err := r.Open(ctx, m.Value.(string))
		require.NoError(t, err)
		data, err := io.ReadAll(content)
		require.NoError(t, err)
		require.NoError(t, content.Close())
		require.Equal(t, want, string(data))
		var chart struct {
			Kind run.MetricKind `json:"schema_type"`
		}
		require.NoError(t, json.Unmarshal(data, &chart))
		require.Equal(t, m.Kind, chart.Kind)
	}
	require.EqualValues(t, 5, metrics(t, r, "predictions")[0].Step)
	require.Regexp(t, `^images/image_[0-9a-f]{8}\.png$`, metrics(t, r, "image")[0].Value)
	require.NoError(t, r.Complete(ctx))
}

func TestParamsAreSetOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := start(t)
	require.NoError(t, r.LogParams(ctx, map[string]any{"lr": 0.1, "layers": 3, "name": "x"}))
	require.NoError(t, r.LogParam(ctx, "lr", "0.1"))
	err := r.LogParams(ctx, map[string]any{"lr": 0.2, "other": 1})
	require.ErrorIs(t, err, azml.ErrConflict)
	for _, name := range []string{"", strings.Repeat("x", 251), "\xff"} {
		require.ErrorIs(t, r.LogParam(ctx, name, 1), azml.ErrInvalid)
	}
	require.ErrorIs(t, r.LogParam(ctx, "bytes", "\xff"), azml.ErrInvalid)
	require.Equal(t, map[string]string{"lr": "0.1", "layers": "3", "name": "x"}, r.Details().Params, "all or none are set")
	many := map[string]any{}
	for n := range 500 {
		many[fmt.Sprint(n)] = strings.Repeat("v", 2000)
	}
	require.NoError(t, r.LogParams(ctx, many), "there is no limit")
	require.NoError(t, r.Complete(ctx))
}

func TestTagsAndProperties(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := start(t)
	require.NoError(t, r.Update(ctx, run.Update{DisplayName: new("name"), Description: new("text"), SetTags: map[string]string{"a": "1", "b": "2"},
		AddProperties: map[string]string{"p": "1"}}))
	require.NoError(t, r.Update(ctx, run.Update{SetTags: map[string]string{"a": ""}, RemoveTags: []string{"b", "none"}, AddProperties: map[string]string{"p": "1"}}))
	require.ErrorIs(t, r.Update(ctx, run.Update{AddProperties: map[string]string{"p": "2"}}), azml.ErrConflict)
	d := r.Details()
	require.Equal(t, "name", d.DisplayName)
	require.Equal(t, "text", d.Description)
	require.Equal(t, map[string]string{"a": ""}, d.Tags)
	require.Equal(t, map[string]string{"p": "1"}, d.Properties)
	many := map[string]string{}
	for n := range 1000 {
		many[fmt.Sprint(n)] = "x"
	}
	for name, change := range map[string]run.Update{
		"1,001 tags":   {SetTags: many},
		"properties":   {AddProperties: many},
		"key":          {SetTags: map[string]string{strings.Repeat("k", 251): ""}},
		"value":        {SetTags: map[string]string{"k": strings.Repeat("v", 8001)}},
		"display name": {DisplayName: new(strings.Repeat("x", 257))},
		"bytes":        {DisplayName: new("\xff")},
		"description":  {Description: new(strings.Repeat("x", 5001))},
	} {
		require.ErrorIs(t, r.Update(ctx, change), azml.ErrInvalid, name)
	}
	require.NoError(t, r.Complete(ctx))
	require.NoError(t, r.Tag(ctx, "late", "x"), "also after the end")
	require.NoError(t, r.Update(ctx, run.Update{}))
	require.Equal(t, map[string]string{"a": "", "late": "x"}, r.Details().Tags)
}

func TestFiles(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := start(t)
	dir := t.TempDir()
	path := file(t, dir, "sub/a.txt", "content")
	require.NoError(t, r.UploadFile(ctx, "outputs/a.txt", path, nil))
	require.ErrorIs(t, r.UploadFile(ctx, "outputs/a.txt", path, nil), azml.ErrExists)
	require.ErrorIs(t, r.Upload(ctx, "outputs/a.txt", strings.NewReader("other"), nil), azml.ErrExists)
	require.NoError(t, r.Upload(ctx, "b.txt", strings.NewReader("b"), nil))
	require.NoError(t, r.UploadFolder(ctx, "folder", dir, nil))
	for _, name := range []string{"", "/abs", "../up", "a/../../b", ".", "a\x00b"} {
		require.ErrorIs(t, r.Upload(ctx, name, strings.NewReader("x"), nil), azml.ErrInvalid, "%q", name)
	}
	require.ErrorIs(t, r.UploadFile(ctx, "x", dir+"/none", nil), azml.ErrNotFound)
	require.ErrorIs(t, r.UploadFolder(ctx, "x", dir+"/none", nil), azml.ErrNotFound)
	require.ErrorIs(t, r.UploadFolder(ctx, "x", path, nil), azml.ErrInvalid)
	list, err := r.Files(ctx, "")
	require.NoError(t, err)
	require.Equal(t, []string{"b.txt", "folder/sub/a.txt", "outputs/a.txt"}, []string{list[0].Path, list[1].Path, list[2].Path})
	require.Equal(t, list[1].Digest, list[2].Digest)
	_, err = r.Open(ctx, "none")
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.ErrorContains(t, err, "outputs/a.txt", "the error names the files there are")
	_, err = r.Open(ctx, "folder")
	require.ErrorIs(t, err, azml.ErrInvalid)

	out := filepath.Join(t.TempDir(), "out")
	require.NoError(t, r.Download(ctx, "folder/", out, nil))
	data, err := os.ReadFile(filepath.Join(out, "folder", "sub", "a.txt"))
	require.NoError(t, err)
	require.Equal(t, "content", string(data))
	require.ErrorIs(t, r.Download(ctx, "folder", out, nil), azml.ErrExists)
	require.NoError(t, r.Download(ctx, "folder", out, &run.DownloadOptions{Overwrite: true}))
	require.ErrorIs(t, r.Download(ctx, "none", out, nil), azml.ErrNotFound)
	require.NoError(t, r.DownloadFile(ctx, "b.txt", out))
	require.NoError(t, r.DownloadFile(ctx, "b.txt", filepath.Join(out, "c.txt")))
	require.ErrorIs(t, r.DownloadFile(ctx, "b.txt", out), azml.ErrExists)
	require.ErrorIs(t, r.DownloadFile(ctx, "b.txt", filepath.Join(out, "none", "c.txt")), azml.ErrNotFound)

	m, err := r.RegisterModel(ctx, "m", `folder\sub\`, nil)
	require.NoError(t, err)
	require.Equal(t, "folder/sub", m.Details().Path)
	require.Equal(t, r.ID(), m.RunID())
	inside, err := m.Files(ctx)
	require.NoError(t, err)
	require.Equal(t, "a.txt", inside[0].Path)
	_, err = r.RegisterModel(ctx, "m", "none", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = r.RegisterModel(ctx, "bad/name", "b.txt", nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.NoError(t, r.Complete(ctx))
}

func TestAnotherHandleGoesOnLogging(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	r := startIn(t, reopen(t, dir), nil)
	other := reopen(t, dir)
	same, err := other.Runs().Get(ctx, r.ID(), nil)
	require.NoError(t, err)
	require.Nil(t, same.Canceled(), "it does not answer for the run")
	var both sync.WaitGroup
	for _, one := range []*run.Run{r, same} {
		both.Go(func() {
			for step := range 100 {
				require.NoError(t, one.Log("loss", float64(step), &run.LogOptions{Step: int64(step)}))
			}
			require.NoError(t, one.Flush(ctx))
		})
	}
	both.Wait()
	require.Len(t, metrics(t, r), 200)
	require.NoError(t, same.LogParam(ctx, "lr", 1))
	require.NoError(t, r.Complete(ctx))
	require.NoError(t, same.Refresh(ctx))
	require.Equal(t, run.StatusCompleted, same.Status())
	require.Len(t, metrics(t, same), 200)
}

func TestLogAllocatesNothing(t *testing.T) {
	r := start(t)
	var value any = 1.5
	opts := &run.LogOptions{}
	require.NoError(t, r.Log("loss", value, opts))
	allocations := testing.AllocsPerRun(10_000, func() {
		opts.Step++
		if err := r.Log("loss", value, opts); err != nil {
			t.Fatal(err)
		}
	})
	require.Less(t, allocations, 0.01)
	number := 0.0
	plain := testing.AllocsPerRun(10_000, func() {
		number++
		if err := r.Log("loss", number, opts); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("a float64 that is not yet an interface costs %v allocations", plain)
	require.LessOrEqual(t, plain, 1.01)
	require.NoError(t, r.Complete(t.Context()))
}

func TestLogFromManyGoroutines(t *testing.T) {
	t.Parallel()
	r := start(t)
	const writers, each = 16, 2000
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			name := fmt.Sprintf("m%d", w%4)
			for step := range each {
				require.NoError(t, r.Log(name, float64(step), &run.LogOptions{Step: int64(step)}))
			}
		})
	}
	all.Wait()
	require.NoError(t, r.Complete(t.Context()))
	sums, err := r.Summaries(t.Context())
	require.NoError(t, err)
	require.Len(t, sums, 4)
	for _, s := range sums {
		require.EqualValues(t, writers/4*each, s.Count)
		require.EqualValues(t, each-1, s.Max)
	}
}

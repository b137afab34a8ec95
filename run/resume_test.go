package run_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// TestResume takes up ended runs in another process, again and again.
func TestResume(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	here, there := workspacetest.Reopen(t, dir), workspacetest.Reopen(t, dir)
	r := startIn(t, here, nil)
	require.NoError(t, r.Log("loss", 1.0, nil))
	require.ErrorIs(t, r.Resume(ctx, nil), azml.ErrConflict, "it goes on")
	require.NoError(t, r.Fail(ctx, errors.New("no luck")))
	started := r.Details().Started

	ends := []func(r *run.Run) error{
		func(r *run.Run) error { return r.Complete(ctx) },
		func(r *run.Run) error { return r.Fail(ctx, errors.New("again")) },
		func(r *run.Run) error { return r.Complete(ctx) },
	}
	for i, end := range ends {
		other, err := there.Runs().Get(ctx, r.ID(), nil)
		require.NoError(t, err)
		require.NoError(t, other.Resume(ctx, &run.ResumeOptions{Reason: "more epochs"}))
		require.Equal(t, run.StatusRunning, other.Status())
		d := other.Details()
		require.Nil(t, d.Error)
		require.Zero(t, d.Ended)
		require.Equal(t, started, d.Started)
		require.Equal(t, "more epochs", d.History[len(d.History)-1].Reason)
		require.ErrorIs(t, r.Resume(ctx, nil), azml.ErrConflict, "another process has it")
		require.NoError(t, other.Log("loss", float64(i+2), nil))
		require.NoError(t, end(other))
		require.ErrorIs(t, other.Log("loss", 0.0, nil), azml.ErrClosed)
		require.Len(t, metrics(t, r), i+2)
	}
	require.NoError(t, r.Refresh(ctx))
	require.Equal(t, run.StatusCompleted, r.Status())

	require.NoError(t, r.Resume(ctx, nil), "and by the one that began it")
	require.NoError(t, r.Log("loss", 5.0, nil))
	require.NoError(t, r.Complete(ctx))
	sums, err := r.Summaries(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 5, sums["loss"].Count)
	require.Equal(t, 3.0, sums["loss"].Mean)
}

// TestResumeAtOnce: of several one gets it.
func TestResumeAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws := workspacetest.Reopen(t, dir)
	r := startIn(t, ws, nil)
	require.NoError(t, r.Complete(ctx))
	errs := make([]error, 5)
	var all sync.WaitGroup
	for i := range errs {
		other, err := workspacetest.Reopen(t, dir).Runs().Get(ctx, r.ID(), nil)
		require.NoError(t, err)
		all.Go(func() { errs[i] = other.Resume(ctx, nil) })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			require.ErrorIs(t, err, azml.ErrConflict)
		}
	}
	require.Equal(t, 1, won)
}

// TestChartAndExport compares a run before and after its end, and so before
// and after its metrics were sealed.
func TestChartAndExport(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	objects := memory.NewObjects()
	ws, err := workspace.Create(ctx, workspace.Config{Objects: objects, Secrets: memory.NewSecrets(), Name: "test", CacheDir: t.TempDir()})
	require.NoError(t, err)
	defer ws.Close(ctx)
	r := startIn(t, ws, nil)
	for i := range 3000 {
		v := float64(i)
		if i == 7 {
			v = math.NaN()
		}
		require.NoError(t, r.Log("loss", v, &run.LogOptions{Step: int64(i)}))
	}
	require.NoError(t, r.Log("name", "a,\"b\"\nc", nil))
	require.NoError(t, r.Log("big", int64(1<<53+1), nil))
	require.NoError(t, r.LogRow("row", map[string]any{"a": math.Inf(1), "b": true}, nil))
	zoomed := &run.ChartOptions{Points: 10, Steps: &run.StepRange{First: 1000, Last: 1099}}
	before, err := r.Chart(ctx, "loss", zoomed)
	require.NoError(t, err)
	require.LessOrEqual(t, len(before), 10)
	require.EqualValues(t, 1000, before[0].FirstStep)
	require.Equal(t, 1099.0, before[len(before)-1].Max)
	_, err = r.Chart(ctx, "none", nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	exports := func() map[run.Format]string {
		out := map[run.Format]string{}
		for _, format := range append(run.Formats(), "") {
			var b bytes.Buffer
			require.NoError(t, r.ExportMetrics(ctx, &b, &run.ExportOptions{Format: format}))
			out[format] = b.String()
		}
		require.ErrorIs(t, r.ExportMetrics(ctx, &bytes.Buffer{}, &run.ExportOptions{Format: "xlsx"}), azml.ErrInvalid)
		return out
	}
	files := exports()
	require.NoError(t, r.Complete(ctx))
	require.Eventually(t, func() bool { return !hasSegments(t, objects) }, time.Minute, time.Millisecond, "they are sealed")
	after, err := r.Chart(ctx, "loss", zoomed)
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.True(t, equalFiles(files, exports()))
	require.Equal(t, files[run.FormatParquet], files[""])
	all, err := r.Chart(ctx, "loss", nil)
	require.NoError(t, err)
	require.Len(t, all, 750, "of 4 values each")
	data, err := json.Marshal(all[1])
	require.NoError(t, err)
	require.JSONEq(t, `{"firstStep":4,"lastStep":7,"min":4,"max":6,"mean":5,"numbers":3,"nans":1}`, string(data))

	rows, err := csv.NewReader(strings.NewReader(files[run.FormatCSV])).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 1+3000+3)
	require.Equal(t, "NaN", rows[8][5])
	require.Equal(t, []string{"name", "scalar", "string"}, rows[3001][:3])
	require.Equal(t, []string{"", "a,\"b\"\nc"}, rows[3001][5:7])
	require.Equal(t, "9007199254740993", rows[3002][5])
	require.Equal(t, `{"a":["Infinity"],"b":[true]}`, rows[3003][6])
	lines := strings.Split(strings.TrimSpace(files[run.FormatJSONL]), "\n")
	require.Len(t, lines, 3003)
	require.Contains(t, lines[7], `"value":"NaN","text":null`)
	require.Contains(t, lines[3001], `"value":9007199254740993,`)
}

func equalFiles(a, b map[run.Format]string) bool {
	for format, file := range a {
		if b[format] != file {
			return false
		}
	}
	return len(a) == len(b)
}

// hasSegments tells whether metrics lie in segments.
func hasSegments(t *testing.T, objects backend.Objects) bool {
	t.Helper()
	for info, err := range objects.List(t.Context(), &backend.ListOptions{Prefix: "runs/"}) {
		require.NoError(t, err)
		if strings.HasSuffix(info.Key, ".seg") {
			return true
		}
	}
	return false
}

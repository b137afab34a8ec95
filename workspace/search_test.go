package workspace_test

import (
	"context"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// TestSearchDocument runs the examples of docs/search.md.
func TestSearchDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/search.md")
	require.NoError(t, err)
	ws := workspacetest.Open(t)
	documentRuns(t, ws)
	examples := 0
	for _, kind := range []string{"filter", "order"} {
		_, block, found := strings.Cut(string(text), "```"+kind+"\n")
		require.True(t, found)
		block, _, _ = strings.Cut(block, "```")
		for line := range strings.Lines(block) {
			at := strings.LastIndex(line, ":")
			example, want := strings.TrimSpace(line[:at]), strings.Fields(line[at+1:])
			filter, opts := example, &run.SearchOptions{OrderBy: []string{"run_id"}}
			if kind == "order" {
				filter, opts.OrderBy = "", []string{example}
			}
			require.Equal(t, want, runIDs(t, ws, filter, opts), example)
			examples++
		}
	}
	require.Greater(t, examples, 20)
}

// documentRuns makes the runs that the document is about.
func documentRuns(t *testing.T, ws *workspace.Workspace) {
	t.Helper()
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "e", nil)
	require.NoError(t, err)
	for _, d := range []struct {
		id, name, end string
		metrics       map[string]float64
		params        map[string]any
		tags          map[string]string
	}{
		{"a", "first try", "Completed", map[string]float64{"acc": 0.95, "loss": 0.2}, map[string]any{"opt": "adam", "lr": "0.1"}, map[string]string{"team": "risk"}},
		{"b", "", "Completed", map[string]float64{"acc": 0.91, "loss": math.NaN()}, map[string]any{"opt": "sgd", "lr": "0.1"}, map[string]string{"team": "risk_eu", "data set": "v2"}},
		{"c", "", "Failed", map[string]float64{"acc": 0.5}, map[string]any{"opt": "Adam"}, nil},
		{"d", "", "Running", map[string]float64{"loss": 0.4}, nil, map[string]string{"team": "it's"}},
	} {
		r, err := exp.StartLogging(t.Context(), &experiment.RunOptions{RunID: d.id, DisplayName: d.name, Tags: d.tags})
		require.NoError(t, err)
		for name, v := range d.metrics {
			require.NoError(t, r.Log(name, v, nil))
		}
		if len(d.params) > 0 {
			require.NoError(t, r.LogParams(t.Context(), d.params))
		}
		switch d.end {
		case "Completed":
			require.NoError(t, r.Complete(t.Context()))
		case "Failed":
			require.NoError(t, r.Fail(t.Context(), context.DeadlineExceeded))
		default:
			t.Cleanup(func() { require.NoError(t, r.Complete(context.Background())) })
		}
	}
}

func runIDs(t *testing.T, ws *workspace.Workspace, filter string, opts *run.SearchOptions) []string {
	t.Helper()
	var ids []string
	for r, err := range ws.Runs().Search(t.Context(), filter, opts) {
		require.NoError(t, err, filter)
		ids = append(ids, r.ID())
	}
	return ids
}

// TestSearch goes through the public methods of all three kinds.
func TestSearch(t *testing.T) {
	t.Parallel()
	ws := workspacetest.Open(t)
	documentRuns(t, ws)
	ctx := t.Context()

	page, next, err := ws.Runs().SearchPage(ctx, "", "", 3, &run.SearchOptions{Experiments: []string{"e"}, OrderBy: []string{"run_id desc"}})
	require.NoError(t, err)
	require.Equal(t, "d", page[0].ID())
	require.Equal(t, 0.4, page[0].Indexed()["loss"].Last)
	page, next, err = ws.Runs().SearchPage(ctx, "", next, 3, &run.SearchOptions{Experiments: []string{"e"}, OrderBy: []string{"run_id desc"}})
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.Empty(t, next)
	require.Empty(t, runIDs(t, ws, "", &run.SearchOptions{Experiments: []string{"none"}}))
	got, err := ws.Runs().Get(ctx, "a", nil)
	require.NoError(t, err)
	require.Nil(t, got.Indexed())
	for _, err := range ws.Runs().Search(ctx, "metrics.acc >", nil) {
		require.ErrorIs(t, err, azml.ErrInvalid)
		require.ErrorContains(t, err, `search run: invalid`)
		require.ErrorContains(t, err, "column 14")
	}

	old, err := ws.Experiments().CreateOrUpdate(ctx, "old", nil)
	require.NoError(t, err)
	_, err = old.Archive(ctx)
	require.NoError(t, err)
	for view, want := range map[experiment.View][]string{experiment.ActiveOnly: {"e"}, experiment.ArchivedOnly: {"old"}, experiment.All: {"old", "e"}} {
		var names []string
		for e, err := range ws.Experiments().Search(ctx, "", &experiment.SearchOptions{View: view, OrderBy: []string{"name desc"}}) {
			require.NoError(t, err)
			names = append(names, e.Name())
		}
		require.Equal(t, want, names)
	}
	experiments, _, err := ws.Experiments().SearchPage(ctx, "name = 'e'", "", 5, nil)
	require.NoError(t, err)
	require.Len(t, experiments, 1)

	file := workspacetest.File(t, t.TempDir(), "model.json", "{}")
	for range 2 {
		_, err := ws.Models().Register(ctx, "m", file, &model.RegisterOptions{Tags: map[string]string{"stage": "new"}})
		require.NoError(t, err)
	}
	require.NoError(t, ws.Models().Delete(ctx, "m", 1, nil))
	var models []string
	for m, err := range ws.Models().Search(ctx, "tags.stage = 'new' and version_number < 9", nil) {
		require.NoError(t, err)
		models = append(models, m.ID())
	}
	require.Equal(t, []string{"m:2"}, models)
	_, _, err = ws.Models().SearchPage(ctx, "", "nonsense", 1, &model.SearchOptions{OrderBy: []string{"size"}})
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.NoError(t, ws.Reindex(ctx))
	require.Len(t, runIDs(t, ws, "", nil), 4)
}

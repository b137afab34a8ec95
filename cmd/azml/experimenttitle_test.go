package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// titled makes experiments with titles, as MLflow's clients do.
func (s *shell) titled(t *testing.T, titles map[string]string) {
	t.Helper()
	ws, err := workspace.Open(t.Context(), s.dir, nil)
	require.NoError(t, err)
	for name, title := range titles {
		_, err := core.Create(t.Context(), workspace.Handle(ws), history.ExperimentRef(name), record.Experiment{ID: core.NewUUID(), Name: name, Title: title})
		require.NoError(t, err)
	}
	require.NoError(t, ws.Close(t.Context()))
}

// TestExperimentTitles finds experiments by the names that MLflow's clients gave them, and
// shows these.
func TestExperimentTitles(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const title = "Bob's churn / weekly"
	s.titled(t, map[string]string{"churn-0a1b": title, "two-1": "twice it is", "two-2": "twice it is"})
	id, second := s.submit(t, "true", "-e", title), s.submit(t, "true", "-e", "churn-0a1b")
	var d run.Details
	s.json(t, &d, "run", "show", id)
	require.Equal(t, "churn-0a1b", d.Experiment)

	for _, args := range [][]string{
		{"experiment", "list"}, {"experiment", "show", title}, {"experiment", "show", "churn-0a1b"},
		{"run", "list"}, {"run", "list", "-e", title}, {"run", "list", "-e", "churn-0a1b"}, {"run", "show", id}, {"run", "compare", id, second},
	} {
		require.Contains(t, s.ok(t, args...), title, "%q", args)
	}
	require.Contains(t, s.ok(t, "run", "list", "-e", title), id)
	require.Contains(t, s.fails(t, exitError, "run", "watch", "-e", title), "no run is going on")
	require.Contains(t, s.call(t, "run", "list", "-e", "two-1").stderr, "No runs.")
	other := s.dir + "-other"
	s.ok(t, "init", other, "--no-config")
	s.ok(t, "sync", s.dir, other, "-e", title)
	require.Contains(t, (&shell{other}).ok(t, "run", "list", "-e", title), id)

	for _, args := range [][]string{{"run", "list", "-e"}, {"run", "watch", "-e"}, {"run", "submit", "-s", s.dir, "--script", "x.py", "--detach", "-e"}, {"experiment", "show"}, {"experiment", "delete"}} {
		said := s.fails(t, exitError, append(args, "twice it is")...)
		require.Contains(t, said, `2 experiments have the title "twice it is"`, "%q", args)
		require.Contains(t, said, "two-1, two-2", "%q", args)
	}
	for _, args := range [][]string{{"run", "list", "-e"}, {"run", "watch", "-e"}, {"experiment", "show"}, {"experiment", "archive"}, {"experiment", "delete"}} {
		require.Contains(t, s.fails(t, exitError, append(args, "no such one")...), "azml experiment list --all", "%q", args)
	}
	s.ok(t, "run", "delete", id)
	s.ok(t, "run", "delete", second)
	s.ok(t, "experiment", "delete", title)
}

// TestLongTags are cut in tables, and whole elsewhere.
func TestLongTags(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id, long := s.submit(t, "true", "--tag", "team=risk"), strings.Repeat("ä", 5000)
	s.ok(t, "run", "tag", id, "note="+long)
	listed := s.ok(t, "run", "list")
	require.Contains(t, listed, "note="+strings.Repeat("ä", longestCell-1)+"…,team=risk")
	require.NotContains(t, listed, strings.Repeat("ä", longestCell))
	require.Contains(t, s.ok(t, "run", "show", id), long)
	require.Contains(t, s.ok(t, "run", "list", "-o", "json"), long)
}

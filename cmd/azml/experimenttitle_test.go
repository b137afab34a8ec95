package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/dataset"
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

// TestTitlesOfWhatRunsLeave shows the title beside what a run has used, made or waits for.
func TestTitlesOfWhatRunsLeave(t *testing.T) {
	t.Parallel()
	needsProcesses(t)
	s := setup(t)
	const title, name = "Bob's churn / weekly", "churn-0a1b"
	s.titled(t, map[string]string{name: title})
	var shown workspace.Details
	s.json(t, &shown, "workspace", "show")
	write(t, filepath.Join(shown.Location, "Datastore"), "a.csv", "id\n1\n")
	s.ok(t, "dataset", "register", "ids", "a.csv")
	s.ok(t, "run", "submit", "-e", title, "-s", t.TempDir(), "--run-id", "made", "--input", "in=ids:1:direct", "--command", "--", "sh", "-c", "echo x > outputs/model.txt")
	s.ok(t, "model", "register", "--name", "churn", "--run", "made", "--asset-path", "outputs/model.txt")
	s.ok(t, "compute", "attach", "process", "box", "--dir", t.TempDir())
	s.ok(t, "compute", "create", "cluster", "pool", "--member", "box")
	s.ok(t, "run", "submit", "-e", title, "-s", t.TempDir(), "--run-id", "waits", "--compute", "pool", "--detach", "--command", "--", "true")

	for _, args := range [][]string{{"dataset", "consumers", "ids:1"}, {"model", "show", "churn"}, {"model", "lineage", "churn"}, {"compute", "nodes", "pool"}} {
		said := s.ok(t, args...)
		require.Contains(t, said, title, "%q", args)
		require.NotContains(t, said, name, "%q", args)
	}
	var found []dataset.Consumer
	s.json(t, &found, "dataset", "consumers", "ids:1")
	require.Equal(t, name, found[0].Experiment, "JSON has the name")

	ws, err := workspace.Open(t.Context(), s.dir, &workspace.OpenOptions{Computes: computeDrivers()})
	require.NoError(t, err)
	defer func() { require.NoError(t, ws.Close(t.Context())) }()
	l := lookAtCluster(t.Context(), ws, "pool", titles{})
	require.NoError(t, l.err)
	p := clusterPage{name: "pool", width: 120, height: 40}
	require.NoError(t, p.take(l, time.Now()))
	p.draw()
	require.Contains(t, strings.Join(p.lines, "\n"), title)
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

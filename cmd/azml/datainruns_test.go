package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/workspace"
)

func TestDataInRuns(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var shown workspace.Details
	s.json(t, &shown, "workspace", "show")
	data := filepath.Join(shown.Location, "Datastore")
	write(t, data, "raw/a.csv", "id,score\n1,0.5\n")
	require.Equal(t, "scores:1", s.ok(t, "dataset", "register", "scores", "raw/*.csv"))
	source := t.TempDir()
	out := s.call(t, "run", "submit", "-e", "e", "-s", source, "--run-id", "first", "--input", "in=scores:1:direct", "--input", "rows=scores",
		"--input", "files=azureml://datastores/workspaceblobstore/paths/raw/:mount", "--out", "made", "--register", "made=made:delimited",
		"--out", "live=kept/{run-id}:mount", "--out", "plain=:upload",
		"--command", "--", "/bin/sh", "-euc", `echo "$in"; cp "$files/a.csv" "$made"; echo x > "$live/x"; head -c 4 "$1"`, "sh", "DatasetConsumptionConfig:rows")
	require.Equal(t, 0, out.code, out.stderr)
	require.Equal(t, "scores:1\nPAR1", out.stdout)
	var view runView
	s.json(t, &view, "run", "show", "first")
	require.Len(t, view.Inputs, 3)
	require.Equal(t, "unchanged", view.Inputs[1].Data)
	require.Equal(t, "made:1", view.Outputs[1].Dataset)
	_, err := os.Stat(filepath.Join(data, "kept", "first", "x"))
	require.NoError(t, err)
	var found []dataset.Consumer
	s.json(t, &found, "dataset", "consumers", "scores:1")
	require.Len(t, found, 2)
	require.Contains(t, s.ok(t, "dataset", "consumers", "made"), "output")

	write(t, data, "raw/b.csv", "id,score\n2,1\n")
	require.Contains(t, s.ok(t, "run", "show", "first"), "changed since: 1 added, 0 removed, 0 changed")
	for name, args := range map[string][]string{
		"no name":         {"--input", "=scores"},
		"no dataset":      {"--input", "in"},
		"no output":       {"--register", "made=x"},
		"unknown table":   {"--out", "a", "--register", "a=x:excel"},
		"output of none":  {"--out", "=x"},
		"register nobody": {"--out", "a", "--register", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			s.fails(t, exitUsage, append([]string{"run", "submit", "-e", "e", "-s", source, "--command"}, append(args, "--", "true")...)...)
		})
	}
	require.Contains(t, s.fails(t, exitError, "run", "submit", "-e", "e", "-s", source, "--input", "in=none", "--command", "--", "true"), `input "in"`)
}

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/workspace"
)

func TestDatasets(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.Contains(t, s.call(t, "dataset", "list").stderr, "No datasets.")
	var shown workspace.Details
	s.json(t, &shown, "workspace", "show")
	data := filepath.Join(shown.Location, "Datastore")
	write(t, data, "raw/a.csv", "id,zip,score\n1,07030,0.5\n2,10001,\n3,10002,2.5\n")

	require.Equal(t, "zips:1", s.ok(t, "dataset", "register", "zips", "raw/*.csv", "--type", "zip=string", "--tag", "team=x"))
	require.Contains(t, s.fails(t, exitError, "dataset", "register", "other", "raw/*.csv", "--type", "zip=string"), "registered as zips:1")
	id := s.ok(t, "dataset", "create", "raw/a.csv", "--where", "score is not null", "--keep", "score,id")
	require.Len(t, id, 32)
	require.Equal(t, "zips:2", s.ok(t, "dataset", "register", "zips", "--id", id, "--new-version"))

	var list []dataset.Details
	s.json(t, &list, "dataset", "list")
	require.Equal(t, 2, list[0].Version)
	s.json(t, &list, "dataset", "list", "--all", "--tag", "team=x")
	require.Equal(t, 1, list[0].Version)
	s.json(t, &list, "dataset", "list", "--filter", "version < 2")
	require.Len(t, list, 1)
	s.json(t, &list, "dataset", "versions", "zips")
	require.Len(t, list, 2)
	require.Contains(t, s.ok(t, "dataset", "show", "zips:1"), "string")

	var rows []map[string]any
	s.json(t, &rows, "dataset", "head", "zips", "-n", "1")
	require.Equal(t, []map[string]any{{"score": 0.5, "id": 1.0}}, rows)
	require.Contains(t, s.ok(t, "dataset", "head", "zips:1", "--columns", "zip"), "07030")
	var p dataset.Profile
	s.json(t, &p, "dataset", "profile", "zips:1")
	require.EqualValues(t, 3, p.Rows)
	drawn := s.ok(t, "dataset", "profile", "zips:1")
	require.Contains(t, drawn, "1 (33.3%)")
	require.Contains(t, drawn, "█", "the histogram of the scores")

	require.Contains(t, s.ok(t, "dataset", "check", "zips:1"), "Nothing has changed")
	dir := filepath.Join(t.TempDir(), "down")
	s.ok(t, "dataset", "download", "zips:1", "--dir", dir)
	_, err := os.Stat(filepath.Join(dir, "a.csv"))
	require.NoError(t, err)
	require.Contains(t, s.fails(t, exitError, "dataset", "download", "zips:1", "--dir", dir), "--overwrite")
	write(t, data, "raw/b.csv", "id,zip,score\n")
	require.Contains(t, s.call(t, "dataset", "check", "zips:1").stdout, "1 added")

	s.ok(t, "dataset", "delete", "zips:1")
	s.fails(t, exitUsage, "dataset", "delete", "zips")
	s.ok(t, "dataset", "delete", "zips", "--all")
	require.Contains(t, s.call(t, "dataset", "list").stderr, "No datasets.")
	require.Contains(t, s.fails(t, exitUsage, "dataset", "create"), "say where the data is")
	require.Contains(t, s.fails(t, exitError, "dataset", "create", "none.csv"), "there is no file at")
}

func TestDatasetLabels(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var shown workspace.Details
	s.json(t, &shown, "workspace", "show")
	write(t, filepath.Join(shown.Location, "Datastore"), "img/a.png", "x")
	write(t, filepath.Join(shown.Location, "Datastore"), "img/b.png", "x")
	s.ok(t, "dataset", "register", "images", "img")
	dir := t.TempDir()
	write(t, dir, "labels.csv", "item,label,x,y,width,height\na.png,cat,1,2,3,4\nb.png,,,,,\n")
	write(t, dir, "bad.csv", "item,label\na.png,cat\nz.png,dog\n")
	file := func(name string) string { return filepath.Join(dir, name) }
	require.Equal(t, "animals:1", s.ok(t, "dataset", "label", "import", "animals", "--of", "images", "--csv", file("labels.csv"), "--tag", "by=ann"))
	require.Contains(t, s.fails(t, exitError, "dataset", "label", "import", "animals", "--of", "images", "--csv", file("bad.csv"), "--new-version"), `there is no item "z.png" in images:1`)
	s.ok(t, "dataset", "label", "export", "animals", "--coco", file("out.json"))
	require.Equal(t, "animals:2", s.ok(t, "dataset", "label", "import", "animals", "--of", "images:1", "--coco", file("out.json"), "--new-version"))
	require.Equal(t, s.ok(t, "dataset", "label", "export", "animals:1", "--csv", "-"), s.ok(t, "dataset", "label", "export", "animals:2", "--csv", "-"))
	require.Contains(t, s.ok(t, "dataset", "show", "animals:1"), "images:1")
	var list []dataset.Details
	s.json(t, &list, "dataset", "label", "list", "--of", "images")
	require.Len(t, list, 2)
	require.Contains(t, s.call(t, "dataset", "label", "list", "--of", "animals").stderr, "No datasets.")
	s.fails(t, exitUsage, "dataset", "label", "import", "animals", "--of", "images")
	s.fails(t, exitUsage, "dataset", "label", "export", "animals")
}

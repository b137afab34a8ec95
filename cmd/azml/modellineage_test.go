package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/workspace"
)

func TestLineageAndHistoryOfAModel(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var shown workspace.Details
	s.json(t, &shown, "workspace", "show")
	write(t, filepath.Join(shown.Location, "Datastore"), "titanic.csv", "age,fare\n1,2\n")
	s.ok(t, "dataset", "register", "titanic", "titanic.csv")
	id := s.submit(t, logging)
	signature := write(t, t.TempDir(), "signature.json", `{"inputs": [{"name": "age", "type": "double"}], "outputs": [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]}`)
	s.ok(t, "model", "register", "--name", "churn", "--run", id, "--asset-path", "outputs/model.txt", "--dataset", "training=titanic:1",
		"--sample-input", "titanic:1", "--cpu", "0.5", "--memory-gb", "2", "--signature", signature)
	s.ok(t, "model", "alias", "set", "churn:1", "champion")
	require.Equal(t, "Updated model churn:1.", s.ok(t, "model", "update", "churn@champion", "--tag", "approved=yes", "--stage", "Production"))
	require.Contains(t, s.fails(t, exitUsage, "model", "update", "churn:1"), "say what to change")
	require.Contains(t, s.fails(t, exitUsage, "model", "register", "--name", "m", "--path", signature, "--dataset", "titanic:1"), "RELATION=NAME:VERSION")
	require.Contains(t, s.fails(t, exitError, "model", "register", "--name", "m", "--path", signature, "--dataset", "training=titanic:2"), "titanic:2")

	text := s.ok(t, "model", "show", "churn")
	for _, want := range []string{"training", "titanic:1", "0.5", "age", "double", "float32 [? 2]"} {
		require.Contains(t, text, want)
	}
	text = s.ok(t, "model", "lineage", "churn@champion")
	at := 0
	for _, want := range []string{"titanic:1", "source", "environment", id, "churn:1", "champion"} { // from what was before to what came of it
		next := strings.Index(text[at:], want)
		require.GreaterOrEqual(t, next, 0, "%s in\n%s", want, text)
		at += next
	}
	var l workspace.Lineage
	s.json(t, &l, "model", "lineage", "churn")
	require.Equal(t, id, l.Run.ID)
	require.Equal(t, "Completed", l.Run.Status)

	require.Contains(t, s.ok(t, "model", "history", "churn:1"), `stage: Production; tag approved: "yes"`)
	var changes []model.Change
	s.json(t, &changes, "model", "history", "churn", "--since", "1h")
	require.Equal(t, "alias champion: version 1", changes[2].Detail)
	require.Contains(t, s.call(t, "model", "history", "none").stderr, "Nothing was done")
	var list []model.Details
	s.json(t, &list, "model", "list", "--dataset", "titanic:1")
	require.Len(t, list, 1)
}

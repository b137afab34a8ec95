package dataset_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func TestFsck(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		harm          func(t *testing.T, root string, ws *workspace.Workspace, d *dataset.Dataset)
		problem, note string
	}{
		"nothing": {harm: func(*testing.T, string, *workspace.Workspace, *dataset.Dataset) {}},
		"killed before the definition named it": {func(t *testing.T, root string, ws *workspace.Workspace, d *dataset.Dataset) {
			def := filepath.Join(root, "dataset-definitions", d.ID()+".json")
			require.NoError(t, os.Remove(def))
			again := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("a.csv"), nil))
			require.Equal(t, d.ID(), again.ID())
			require.NoError(t, again.Save(t.Context(), nil))
		}, "", "does not name it: registering it was cut off"},
		"definition is gone": {func(t *testing.T, root string, _ *workspace.Workspace, d *dataset.Dataset) {
			require.NoError(t, os.Remove(filepath.Join(root, "dataset-definitions", d.ID()+".json")))
		}, "the definition of dataset people is not there", ""},
		"version is gone": {func(t *testing.T, root string, _ *workspace.Workspace, _ *dataset.Dataset) {
			require.NoError(t, os.Remove(filepath.Join(root, "datasets", "people", "0000000001.json")))
		}, "dataset people:1 is not there", "it is not there: its creation was cut off"},
		"deleted": {harm: func(t *testing.T, _ string, ws *workspace.Workspace, _ *dataset.Dataset) {
			require.NoError(t, ws.Datasets().Unregister(t.Context(), "people", 1, nil))
		}, note: "the garbage collector removes it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws, _ := setup(t, map[string]string{"a.csv": people})
			d := must(t)(must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("a.csv"), nil)).Register(t.Context(), "people", nil))
			tt.harm(t, ws.Details().Location, ws, d)
			report, err := ws.Fsck(t.Context(), nil)
			require.NoError(t, err)
			told := func(list []workspace.Problem) (text string) {
				for _, p := range list {
					text += p.Key + ": " + p.Problem + "\n"
				}
				return text
			}
			if tt.problem == "" {
				require.Empty(t, told(report.Problems))
			}
			require.Contains(t, told(report.Problems), tt.problem)
			if tt.note == "" {
				require.Empty(t, told(report.Notes))
			}
			require.Contains(t, told(report.Notes), tt.note)
		})
	}
}

// TestFsckOfRunsWithData notes, once for each run, datasets that runs name and that
// are there no more.
func TestFsckOfRunsWithData(t *testing.T) {
	t.Parallel()
	ws, _ := setup(t, map[string]string{"a.csv": people, "b.csv": people})
	def := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("a.csv"), nil))
	version := must(t)(def.Register(t.Context(), "people", nil))
	unnamed := must(t)(ws.Datasets().FromDelimitedFiles(t.Context(), at("b.csv"), nil))
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "e", nil)
	require.NoError(t, err)
	r, err := exp.Run(t.Context(), func(ctx context.Context, r *run.Run) error {
		return errors.Join(r.UseDataset(ctx, "one", version), r.UseDataset(ctx, "two", version), r.UseDataset(ctx, "three", unnamed))
	}, nil)
	require.NoError(t, err)
	notes := func() (out []string) {
		report, err := ws.Fsck(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, report.Problems)
		for _, n := range report.Notes {
			if n.Key == "runs/"+r.ID()+"/run.json" {
				out = append(out, n.Problem)
			}
		}
		return out
	}
	require.Empty(t, notes())
	require.NoError(t, ws.Datasets().Unregister(t.Context(), "people", 1, nil))
	require.NoError(t, os.Remove(filepath.Join(ws.Details().Location, "dataset-definitions", unnamed.ID()+".json")))
	require.Equal(t, []string{"dataset " + unnamed.ID() + ", which the run names, is not there", "dataset people:1, which the run names, was deleted"}, notes())
}

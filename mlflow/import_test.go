package mlflow_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/mlflow"
)

// TestImport imports what MLflow's client has made, and compares all that this
// client finds in the workspace with what it finds in the store.
func TestImport(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs MLflow for a minute: left out in short mode")
	}
	for _, kind := range []string{kindDatabase, kindFolder, kindServer} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := storeOf(t, kind)
			ws := open(t)
			opts := &mlflow.ImportOptions{}
			done, err := mlflow.Import(t.Context(), ws, s.uri, opts)
			require.NoError(t, err)
			require.Empty(t, done.Conflicts)
			require.Equal(t, int64(6), done.Runs.Created)
			require.Equal(t, int64(3), done.Models.Created)
			require.Equal(t, int64(5000+7+3+1+1+1), done.Values)

			have := dumpOf(t, served(t, ws))
			if kind == kindFolder {
				forgetStep(have, "auc")
			}
			compareDumps(t, s.dump, have)

			for _, verify := range []bool{false, true} {
				again, err := mlflow.Import(t.Context(), ws, s.uri, &mlflow.ImportOptions{Verify: verify})
				require.NoError(t, err)
				require.Empty(t, again.Conflicts)
				require.Zero(t, again.Values)
				require.Zero(t, again.Files)
				for _, tally := range []mlflow.Tally{again.Experiments, again.Runs, again.LoggedModels, again.Models, again.Versions} {
					require.Zero(t, tally.Created)
					require.Zero(t, tally.Completed)
				}
				require.Equal(t, done.Runs.Created, again.Runs.Unchanged)
			}
			report, err := ws.Fsck(t.Context(), nil)
			require.NoError(t, err)
			require.True(t, report.Clean(), "%v", report.Problems)
		})
	}
}

// forgetStep does what MLflow does when it reads the file of a metric that is
// about a dataset: it takes every step for 0. The files have the steps, and so
// does the workspace.
func forgetStep(d dump, metric string) {
	for _, run := range d.Runs {
		points, _ := run["history"].(object)[metric].([]any)
		for _, p := range points {
			p.([]any)[1] = 0.0
		}
	}
}

// compareDumps compares what was to be carried over.
func compareDumps(t *testing.T, want, have dump) {
	t.Helper()
	require.Equal(t, want.Experiments, have.Experiments)
	require.Equal(t, keys(want.Runs), keys(have.Runs))
	for id, run := range want.Runs {
		require.Equal(t, run, have.Runs[id], "run %s", id)
	}
	require.Equal(t, want.Models, have.Models)
	require.Equal(t, want.Logged, have.Logged)
}

func keys(m map[string]object) map[string]bool {
	found := map[string]bool{}
	for key := range m {
		found[key] = true
	}
	return found
}

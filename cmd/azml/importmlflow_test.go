package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/mlflow"
	"github.com/azml-go/azml/run"
)

func TestImportAndExportMLflow(t *testing.T) {
	t.Parallel()
	s := setup(t)
	store := filepath.Join(t.TempDir(), "mlruns")
	for name, content := range map[string]string{
		"1/meta.yaml":         "experiment_id: '1'\nname: churn rates\nlifecycle_stage: active\nartifact_location: s3://bucket/1\n",
		"1/abc/meta.yaml":     "run_id: abc\nrun_name: first\nstatus: 3\nstart_time: 1600000000000\nend_time: 1600000001000\nlifecycle_stage: active\nartifact_uri: s3://bucket/1/abc/artifacts\n",
		"1/abc/metrics/loss":  "1600000000500 0.5 1\n1600000000600 0.25 2\n",
		"1/abc/artifacts/txt": "hello",
	} {
		path := filepath.Join(store, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	require.Contains(t, s.ok(t, "import", "mlflow", store, "--dry-run"), "runs")
	var done mlflow.Imported
	s.json(t, &done, "import", "mlflow", store)
	require.EqualValues(t, 1, done.Runs.Created)
	require.EqualValues(t, 2, done.Values)
	var points []run.Metric
	s.json(t, &points, "run", "metrics", "abc", "--name", "loss", "--format", "json")
	require.Len(t, points, 2)
	require.Contains(t, s.ok(t, "import", "mlflow", store, "-e", "churn rates", "--verify"), "versions")

	nothing := httptest.NewServer(nil)
	t.Cleanup(nothing.Close)
	require.Contains(t, s.fails(t, exitError, "export", "mlflow", nothing.URL), "404")
	require.Contains(t, s.fails(t, exitError, "import", "mlflow", filepath.Join(store, "nope")), "not found")
	require.Contains(t, s.fails(t, exitError, "import", "mlflow", store, "-e", "nope"), "nope")
	require.Contains(t, s.fails(t, exitUsage, "import", "mlflow"), "missing argument")
	require.Contains(t, s.fails(t, exitUsage, "export", "mlflow", "a", "b"), "unexpected")
}

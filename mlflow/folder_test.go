package mlflow_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/workspacetest"
)

// handmade is a file store as MLflow writes it, for tests that change it.
type handmade struct {
	t   testing.TB
	dir string
}

// experimentID is the ID of its experiment, which is called "churn rates".
const experimentID = "42"

func newHandmade(t testing.TB) handmade {
	t.Helper()
	h := handmade{t, filepath.Join(t.TempDir(), "mlruns")}
	h.write(experimentID+"/meta.yaml", "artifact_location: /nowhere/42\ncreation_time: 1600000000000\nexperiment_id: '42'\n"+
		"last_update_time: 1600000000500\nlifecycle_stage: active\nname: churn rates\n")
	h.write(experimentID+"/tags/team", "risk")
	return h
}

func (h handmade) write(name, content string) {
	h.t.Helper()
	path := filepath.Join(h.dir, filepath.FromSlash(name))
	require.NoError(h.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(h.t, os.WriteFile(path, []byte(content), 0o644))
}

// runID gives the ID of the n-th run.
func runID(n int) string { return fmt.Sprintf("%032x", n+1) }

// The statuses of runs as files have them.
const (
	running  = 1
	finished = 3
)

// run writes the n-th run with a parameter and a tag.
func (h handmade) run(n, status int) string {
	h.t.Helper()
	id := runID(n)
	end := "null"
	if status != running {
		end = fmt.Sprint(1600000100000 + n)
	}
	h.write(h.of(n, "meta.yaml"), fmt.Sprintf("artifact_uri: /nowhere/42/%s/artifacts\nend_time: %s\nexperiment_id: '42'\nlifecycle_stage: active\n"+
		"run_id: %s\nrun_name: run-%d\nstart_time: %d\nstatus: %d\nuser_id: ann\n", id, end, id, n, 1600000000000+n, status))
	h.write(h.of(n, "params/lr"), "0.1")
	h.write(h.of(n, "tags/mlflow.runName"), fmt.Sprintf("run-%d", n))
	return id
}

func (h handmade) of(n int, name string) string { return experimentID + "/" + runID(n) + "/" + name }

// metric writes values from first on, each its own step.
func (h handmade) metric(n int, name string, first, count int) {
	h.t.Helper()
	var lines strings.Builder
	for i := first; i < first+count; i++ {
		fmt.Fprintf(&lines, "%d %v %d\n", 1600000001000+i, float64(i)/3, i)
	}
	path := filepath.Join(h.dir, filepath.FromSlash(h.of(n, "metrics/"+name)))
	have, err := os.ReadFile(path)
	if err != nil {
		have = nil
	}
	h.write(h.of(n, "metrics/"+name), string(have)+lines.String())
}

// artifact writes a file of the n-th run.
func (h handmade) artifact(n int, name, content string) {
	h.t.Helper()
	h.write(h.of(n, "artifacts/"+name), content)
}

// file writes a file for tests.
var file = workspacetest.File

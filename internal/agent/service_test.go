//go:build linux

package agent

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/record"
)

// serving is a script whose parameter servers never end by themselves.
const serving = `case "$TF_CONFIG" in *'"task":{"index":'*'"type":"ps"'*) exec sleep 1000;; esac; `

// serve runs a script as workers and parameter servers on one or two nodes.
func serve(t *testing.T, nodes int, processes record.Distributed, script string) error {
	t.Helper()
	processes.Framework = TensorFlow
	store := memory.NewObjects()
	main := member(t, store, 0, "", 0)
	if nodes == 1 {
		main.place.count = 1
		beginAs(t, &processes, script, main, nil)
		return main.execute(t.Context())
	}
	other := member(t, store, 1, "", 0)
	beginAs(t, &processes, script, main, other)
	return lead(t, main, other)
}

// TestParameterServersAreEnded when all workers have ended, on whichever nodes they are.
func TestParameterServersAreEnded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ nodes, workers, servers int }{
		"one node":                {1, 2, 1},
		"several on one node":     {1, 1, 3},
		"on node 0":               {2, 2, 1},
		"on both":                 {2, 2, 2},
		"alone on node 1":         {2, 1, 1},
		"on both, without worker": {2, 1, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, serve(t, c.nodes, record.Distributed{Workers: c.workers, ParameterServers: c.servers}, serving))
		})
	}
}

// TestWorkersAreWaitedFor by parameter servers: one that fails after another has ended fails
// the run.
func TestWorkersAreWaitedFor(t *testing.T) {
	t.Parallel()
	for name, nodes := range map[string]int{"one node": 1, "two nodes": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := filepath.Join(t.TempDir(), "first")
			script := serving + `case "$TF_CONFIG" in *'"task":{"index":0,'*) touch ` + first + `; exit;; esac; while ! test -e ` + first + `; do sleep 0.01; done; exit 5`
			err := serve(t, nodes, record.Distributed{Workers: 2, ParameterServers: 2}, script)
			require.ErrorContains(t, err, "(rank 1 on node ")
			require.ErrorContains(t, err, "exit code 5")
		})
	}
}

// TestParameterServersServeEachAttempt that is made.
func TestParameterServersServeEachAttempt(t *testing.T) {
	t.Parallel()
	for name, nodes := range map[string]int{"one node": 1, "two nodes": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			marks := t.TempDir() // of the attempt before
			script := serving + `case "$TF_CONFIG" in *'"task":{"index":1,'*) mkdir ` + marks + `/tried && exit 5;; esac; exit 0`
			require.NoError(t, serve(t, nodes, record.Distributed{Workers: 2, ParameterServers: 2, MaxRestarts: 1}, script))
			require.DirExists(t, filepath.Join(marks, "tried"))
		})
	}
}

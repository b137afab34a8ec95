//go:build linux

package agent

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
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

// patient is a store whose writes take until somebody lets them, or are given up.
type patient struct {
	backend.Objects
	write chan struct{}
}

func (s patient) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	select {
	case <-s.write:
	case <-ctx.Done():
		return backend.Info{}, ctx.Err()
	}
	return s.Objects.Put(ctx, key, content, opts)
}

// TestWorkedIsSaidToItsEnd though the servers end with the last worker: a store could carry
// out a write that was given up after that of what is said next.
func TestWorkedIsSaidToItsEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		store := patient{memory.NewObjects(), make(chan struct{})}
		h := core.New(core.Config{Objects: store, Secrets: memory.NewSecrets(), CacheDir: dir})
		d := &drive{h: h, place: nodePlace{rank: 1, count: 2}, ranks: []*rank{{server: true}},
			run: record.Run{ID: "r", Agent: &record.Agent{}, Definition: &record.Definition{Distributed: &record.Distributed{ParameterServers: 1}}}}
		d.service = d.newService()
		told := d.sayWorked(t.Context(), func(err error) { t.Error(err) }, 1)
		d.service.worked()
		synctest.Wait()
		go told()
		synctest.Wait()
		close(store.write)
		synctest.Wait()
		said, err := d.hear(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, nodeWorked, said.State)
		require.NoError(t, h.Close(context.Background()))
	})
}

//go:build linux

package scheduler_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	azmlerrors "github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// restarting is an engine that is being started anew: it answers, and ends whatever is
// started, so many times.
type restarting struct {
	mu    sync.Mutex
	fails int
	tries []time.Time
}

func (r *restarting) start(ctx context.Context, target backend.OpenedCompute, job backend.Job) error {
	r.mu.Lock()
	r.tries = append(r.tries, time.Now())
	fails := len(r.tries) <= r.fails
	r.mu.Unlock()
	if fails {
		return fmt.Errorf("%w: the engine is being started anew", azmlerrors.ErrUnavailable)
	}
	return target.Start(ctx, job)
}

// TestTriesHavePauses has a run lose its nodes before it begins, with other nodes free: it
// tries again after pauses that grow.
func TestTriesHavePauses(t *testing.T) {
	t.Parallel()
	dir, engine := t.TempDir(), &restarting{fails: 3}
	t.Cleanup(func() { testenv.KillProcessesAbout(dir) }) // as open does
	file, err := azml()
	require.NoError(t, err)
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), &workspace.OpenOptions{CacheDir: filepath.Join(dir, "cache"), SecretsKeyFile: filepath.Join(dir, "key"),
		Computes: []backend.ComputeDriver{&workspacetest.Processes{Start: engine.start}}, Program: file})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		require.NoError(t, ws.Close(ctx))
	})
	_, err = ws.Compute().Create(t.Context(), "box", process.Target{Dir: filepath.Join(dir, "box"), CacheDir: filepath.Join(dir, "box-cache")}, nil)
	require.NoError(t, err)
	_, err = ws.Compute().Create(t.Context(), "pool", compute.Cluster{Members: []compute.Member{{Target: "box", Nodes: 4}}}, nil)
	require.NoError(t, err)
	r := submit(t, ws, "churn", "true", nil)
	schedule(t, ws)
	require.NoError(t, r.Wait(t.Context(), nil))
	engine.mu.Lock()
	tries := engine.tries
	engine.mu.Unlock()
	require.Len(t, tries, 4)
	for i := range 3 {
		require.GreaterOrEqual(t, tries[i+1].Sub(tries[i]), record.TryPause(i+2), "before try %d", i+2)
	}
	var said []string
	for _, c := range r.Details().History {
		if c.Status == run.StatusQueued && c.Reason != "" {
			said = append(said, c.Reason)
		}
	}
	require.Contains(t, said[len(said)-1], "the engine is being started anew; try 4 of 10 follows after 4s")
}

//go:build linux

package scheduler

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/backend/process"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/workspace"
)

// counting is a store that counts the lists of a cluster's queue, and what is read of
// it and of runs.
type counting struct {
	backend.Objects
	lists, reads, stats atomic.Int64
}

// List implements backend.Objects.
func (c *counting) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	if opts.Prefix == compute.QueuePrefix("pool") {
		c.lists.Add(1)
	}
	return c.Objects.List(ctx, opts)
}

// Get implements backend.Objects.
func (c *counting) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if strings.HasPrefix(key, compute.QueuePrefix("pool")) {
		c.reads.Add(1)
	}
	return c.Objects.Get(ctx, key, opts)
}

// Stat implements backend.Objects.
func (c *counting) Stat(ctx context.Context, key string) (backend.Info, error) {
	c.stats.Add(1)
	return c.Objects.Stat(ctx, key)
}

// heap gives how many bytes are in use.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestThousandAtOnce submits a thousand runs at once. Nothing of them stays in the
// memory of who submits but what the store here holds itself, and who schedules reads
// each once, and the queue by one list at a time. Not parallel: what others hold counts.
func TestThousandAtOnce(t *testing.T) { //nolint:paralleltest // see above
	const many = 1000
	objects := &counting{Objects: memory.NewObjects()}
	dir := t.TempDir()
	ws, err := workspace.Create(t.Context(), workspace.Config{Objects: objects, Secrets: memory.NewSecrets(), Name: "batch", CacheDir: dir, Computes: []backend.ComputeDriver{process.ComputeDriver{}}})
	require.NoError(t, err)
	defer func() { require.NoError(t, ws.Close(context.WithoutCancel(t.Context()))) }()
	_, err = ws.Compute().Create(t.Context(), "box", process.Target{Dir: filepath.Join(dir, "box")}, &compute.CreateOptions{SkipValidation: true})
	require.NoError(t, err)
	_, err = ws.Compute().Create(t.Context(), "pool", compute.Cluster{Members: []compute.Member{{Target: "box", Nodes: 8}}}, nil)
	require.NoError(t, err)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "sweep", nil)
	require.NoError(t, err)
	trials := func(yield func(experiment.Variation) bool) {
		for i := 0; i < many && yield(experiment.Variation{RunID: fmt.Sprintf("trial-%04d", i)}); i++ {
		}
	}
	before, began := heap(), time.Now()
	config := experiment.ScriptRunConfig{Source: t.TempDir(), Command: []string{"/bin/true"}, Compute: "pool"}
	for _, err := range exp.SubmitEach(t.Context(), config, trials, nil) {
		require.NoError(t, err)
	}
	const each = 8 << 10 // bytes, most of which are the store's
	t.Logf("submitted in %s; %d bytes a run are held, the store's among them", time.Since(began), (heap()-before)/many)
	require.Less(t, heap()-before, many*each)

	objects.lists.Store(0)
	objects.reads.Store(0)
	objects.stats.Store(0)
	c := newCluster(workspace.Handle(ws), "pool", Options{TakeOver: time.Hour, abandon: time.Hour, takenAfter: time.Hour})
	for look := int64(1); look <= 3; look++ {
		require.NoError(t, c.readQueue(t.Context()))
		require.Equal(t, look, objects.lists.Load(), "a look at the queue is one list")
		require.Equal(t, int64(many), objects.reads.Load(), "each run is read once")
		require.Equal(t, int64(many), objects.stats.Load(), "and looked for once")
	}
	require.Len(t, c.waiting(&record.ClusterState{}), many)
	pool, err := ws.Compute().Get(t.Context(), "pool", nil)
	require.NoError(t, err)
	objects.lists.Store(0)
	s, err := pool.Status(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, int64(1), objects.lists.Load())
	require.Len(t, s.Queue, many)
	for i, q := range s.Queue {
		require.Equal(t, fmt.Sprintf("trial-%04d", i), q.RunID, "in the order in which they were submitted")
	}
}

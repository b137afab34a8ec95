package experiment_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// trip is how long a request to a distant store takes, while nothing else takes any time. It is
// shorter than any pause of the agent.
const trip = time.Millisecond

// distant is a store whose requests all take one trip.
type distant struct {
	backend.Objects

	began time.Time
	mu    sync.Mutex
	asked []string // each with the number of trips before it
}

func (d *distant) travel(what, key string) {
	d.mu.Lock()
	d.asked = append(d.asked, fmt.Sprintf("%d: %s %s", time.Since(d.began)/trip, what, key))
	d.mu.Unlock()
	time.Sleep(trip)
}

// Get implements backend.Objects.
func (d *distant) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	d.travel("get", key)
	return d.Objects.Get(ctx, key, opts)
}

// Put implements backend.Objects.
func (d *distant) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	d.travel("put", key)
	return d.Objects.Put(ctx, key, content, opts)
}

// Append implements backend.Objects.
func (d *distant) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	d.travel("append", key)
	return d.Objects.Append(ctx, key, offset, data)
}

// Stat implements backend.Objects.
func (d *distant) Stat(ctx context.Context, key string) (backend.Info, error) {
	d.travel("stat", key)
	return d.Objects.Stat(ctx, key)
}

// List implements backend.Objects.
func (d *distant) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		d.travel("list", opts.Prefix)
		d.Objects.List(ctx, opts)(yield)
	}
}

// runner is a machine on which every job ends well as soon as it has begun.
type runner struct {
	backend.Compute

	started func()
}

// Start implements backend.Compute.
func (r *runner) Start(context.Context, backend.Job) error { r.started(); return nil }

// Wait implements backend.Compute.
func (*runner) Wait(_ context.Context, id string) (backend.JobStatus, error) {
	return backend.JobStatus{ID: id, State: backend.JobExited}, nil
}

// Output implements backend.Compute.
func (*runner) Output(context.Context, string, *backend.OutputOptions) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("")), nil
}

// Remove implements backend.Compute.
func (*runner) Remove(context.Context, string) error { return azml.ErrNotFound }

// beginning stores a run as it is when its agent begins.
func beginning(t *testing.T, store backend.Objects) agent.Instructions {
	t.Helper()
	h := core.New(core.Config{Objects: store, Secrets: memory.NewSecrets(), CacheDir: t.TempDir()})
	defer func() { require.NoError(t, h.Close(context.Background())) }()
	ctx, me := t.Context(), h.Owner()
	batch, err := h.Files().NewBatch(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, batch.Add(ctx, "train.py", 0o644, strings.NewReader("print()")))
	require.NoError(t, batch.Add(ctx, "data/one.csv", 0o644, strings.NewReader("1,2")))
	snapshot, _, _, err := batch.CommitManifest(ctx)
	require.NoError(t, err)
	_, err = core.CreateQuiet(ctx, h, history.ExperimentRef("e").Key, record.Experiment{Name: "e"})
	require.NoError(t, err)
	_, err = core.CreateQuiet(ctx, h, "environments/none/1.json", record.Environment{Name: "none"})
	require.NoError(t, err)
	_, err = history.Create(ctx, h, record.Run{ID: "far", Experiment: "e", Status: record.Starting, Owner: &me, Snapshot: snapshot,
		Agent:      &record.Agent{Job: "agent-far"},
		Definition: &record.Definition{Command: []string{"true"}, Environment: record.EnvironmentRef{Name: "none", Version: "1"}, Variables: map[string]string{"MLFLOW_TRACKING_URI": "elsewhere"}}})
	require.NoError(t, err)
	return agent.Instructions{RunID: "far", Owner: me.ID}
}

// TestRequestsInARowBeforeAScript counts the requests of an agent that wait for each other until
// its script begins, for that is what a start takes where the store is far.
func TestRequestsInARowBeforeAScript(t *testing.T) {
	t.Parallel()
	store := &distant{Objects: memory.NewObjects()}
	instructions := beginning(t, store.Objects)
	synctest.Test(t, func(t *testing.T) {
		store.began = time.Now()
		var inARow time.Duration
		var before []string
		machine := &runner{started: func() { inARow, before = time.Since(store.began)/trip, slices.Clone(store.asked) }}
		h := core.New(core.Config{Objects: store, Secrets: memory.NewSecrets(), Local: machine, CacheDir: t.TempDir()})
		require.NoError(t, experiment.Drive(t.Context(), h, instructions))
		require.NoError(t, h.Close(t.Context()))
		asked := strings.Join(before, "\n")
		require.EqualValues(t, 8, inARow, asked) // the run, its owner, logs, manifest, lists, index, pack, status
		require.Len(t, before, 14, asked)
	})
}

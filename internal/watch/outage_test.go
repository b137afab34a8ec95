package watch_test

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/watch"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// reachable is a store that can be cut off.
type reachable struct {
	backend.Objects
	out atomic.Bool
}

func (r *reachable) check() error {
	if r.out.Load() {
		return fmt.Errorf("%w: cut off", azml.ErrUnavailable)
	}
	return nil
}

func (r *reachable) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return r.Objects.Get(ctx, key, opts)
}

func (r *reachable) Stat(ctx context.Context, key string) (backend.Info, error) {
	if err := r.check(); err != nil {
		return backend.Info{}, err
	}
	return r.Objects.Stat(ctx, key)
}

func (r *reachable) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	if err := r.check(); err != nil {
		return func(yield func(backend.Info, error) bool) { yield(backend.Info{}, err) }
	}
	return r.Objects.List(ctx, opts)
}

// TestStoreIsCutOff: what can't be read is said, and when the store is back all
// is there, once.
func TestStoreIsCutOff(t *testing.T) {
	t.Parallel()
	config := workspace.Config{Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), Name: "test", CacheDir: t.TempDir()}
	ws, err := workspace.Create(t.Context(), config)
	require.NoError(t, err)
	defer func() { require.NoError(t, ws.Close(context.WithoutCancel(t.Context()))) }()
	store := &reachable{Objects: config.Objects}
	config.Objects = store
	other, err := workspace.New(t.Context(), config)
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close(context.WithoutCancel(t.Context()))) }()

	r := start(t, ws)
	seen, err := other.Runs().Get(t.Context(), r.ID(), nil)
	require.NoError(t, err)
	log := func(value float64) {
		require.NoError(t, r.Log("loss", value, nil))
		require.NoError(t, r.Flush(t.Context()))
	}
	log(1)
	w := watch.Start(t.Context(), seen, watch.Options{Lines: 3, Children: true})
	counts := func(n int64) func(s *watch.State) bool {
		return func(s *watch.State) bool { return len(s.Metrics) == 1 && s.Metrics[0].Count == n && s.Trouble == "" }
	}
	eventually(t, w, "the first value", counts(1))
	store.out.Store(true)
	eventually(t, w, "the trouble is told", func(s *watch.State) bool { return s.Trouble != "" })
	log(2)
	store.out.Store(false)
	eventually(t, w, "the second value", counts(2))
	require.NoError(t, r.Complete(t.Context()))
	ended(t, w)
	require.NoError(t, w.Err())
	w.Look(r.Details().Ended, func(s *watch.State) {
		require.True(t, counts(2)(s))
		require.Equal(t, run.StatusCompleted, s.Details.Status)
	})
}

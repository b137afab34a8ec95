package mirror_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/mirror"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// plain is a store that can't tell what has changed, and that may be away.
type plain struct {
	backend.Objects
	away atomic.Bool
}

// Stat fails while the store is away.
func (p *plain) Stat(ctx context.Context, key string) (backend.Info, error) {
	if p.away.Load() {
		return backend.Info{}, fmt.Errorf("%w: away", azml.ErrUnavailable)
	}
	return p.Objects.Stat(ctx, key)
}

// Get fails while the store is away.
func (p *plain) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if p.away.Load() {
		return nil, fmt.Errorf("%w: away", azml.ErrUnavailable)
	}
	return p.Objects.Get(ctx, key, opts)
}

// following follows until the function that it gives is called, which waits for
// the end.
func following(t testing.TB, dst, src *workspace.Workspace, opts *mirror.FollowOptions) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- workspace.Follow(ctx, dst, src, opts) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	t.Cleanup(stop)
	return stop
}

// hasLoss tells whether a run is so far: its status, and how many points of its loss there are.
func hasLoss(t testing.TB, ws *workspace.Workspace, id string, points int64, status run.Status) func() bool {
	return func() bool {
		r, err := ws.Runs().Get(t.Context(), id, nil)
		if err != nil || r.Status() != status {
			return false
		}
		sums, err := r.Summaries(t.Context())
		return err == nil && sums["loss"].Count == points
	}
}

// TestFollow mirrors runs while they go on, from stores that tell what has changed
// and from such that must be listed, with an outage in between.
func TestFollow(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(backend.Objects) backend.Objects{
		"with a feed": func(o backend.Objects) backend.Objects { return o },
		"by listings": func(o backend.Objects) backend.Objects { return &plain{Objects: o} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			here := &plain{Objects: memory.NewObjects()}
			cloud, laptop := created(t, "cloud", here), created(t, "laptop", wrap(memory.NewObjects()))
			trained(t, laptop, "churn", "before")
			var failures, passes atomic.Int64
			stop := following(t, cloud, laptop, &mirror.FollowOptions{Every: 5 * time.Millisecond, Passed: func(_ *mirror.Report, err error) {
				if err != nil {
					failures.Add(1)
				}
				passes.Add(1)
			}})
			e, err := laptop.Experiments().CreateOrUpdate(ctx, "churn", nil)
			require.NoError(t, err)
			r, err := e.StartLogging(ctx, &experiment.RunOptions{RunID: "live"})
			require.NoError(t, err)
			for i := range int64(5) {
				require.NoError(t, r.Log("loss", float64(i), nil))
				require.NoError(t, r.Flush(ctx))
				require.Eventually(t, hasLoss(t, cloud, "live", i+1, run.StatusRunning), time.Minute, time.Millisecond)
			}
			here.away.Store(true)
			tag(t, laptop, "before", "changed")
			require.Eventually(t, func() bool { return failures.Load() > 0 }, time.Minute, time.Millisecond)
			here.away.Store(false)
			require.NoError(t, r.Complete(ctx))
			require.Eventually(t, hasLoss(t, cloud, "live", 5, run.StatusCompleted), time.Minute, time.Millisecond)
			require.Eventually(t, func() bool { return tagOf(t, cloud, "before") == "changed" }, time.Minute, time.Millisecond)
			stop()
			quiet := passes.Load()
			require.Less(t, quiet, int64(200), "passes in which nothing happened are not told of")
			clean(t, cloud, laptop)
			require.Zero(t, synced(t, cloud, laptop, nil).Changes())
		})
	}
}

// TestFollowSelection follows one experiment, new runs of it among that, and
// deletes what is deleted when everything is followed.
func TestFollowSelection(t *testing.T) {
	t.Parallel()
	cloud, laptop := pair(t)
	trained(t, laptop, "churn", "r1")
	stop := following(t, cloud, laptop, &mirror.FollowOptions{Options: mirror.Options{Experiments: []string{"churn"}}, Every: 5 * time.Millisecond})
	has := func(id string) func() bool {
		return func() bool {
			_, err := cloud.Runs().Get(t.Context(), id, nil)
			return err == nil
		}
	}
	require.Eventually(t, has("r1"), time.Minute, time.Millisecond)
	trained(t, laptop, "risk", "other")
	trained(t, laptop, "churn", "r2")
	require.Eventually(t, has("r2"), time.Minute, time.Millisecond)
	require.Eventually(t, has("r2-child"), time.Minute, time.Millisecond)
	require.False(t, has("other")())
	stop()
	sound(t, cloud)
	stop = following(t, cloud, laptop, &mirror.FollowOptions{Options: mirror.Options{Delete: true}, Every: 5 * time.Millisecond})
	require.Eventually(t, has("other"), time.Minute, time.Millisecond)
	require.NoError(t, laptop.Runs().Delete(t.Context(), "other", nil))
	require.Eventually(t, func() bool { return !has("other")() }, time.Minute, time.Millisecond)
	stop()
	sound(t, cloud)
}

// TestFollowEnds with what a further try can't mend.
func TestFollowEnds(t *testing.T) {
	t.Parallel()
	cloud, laptop := pair(t)
	err := workspace.Follow(t.Context(), cloud, laptop, &mirror.FollowOptions{Options: mirror.Options{Runs: []string{"none"}}})
	require.ErrorIs(t, err, azml.ErrNotFound)
}

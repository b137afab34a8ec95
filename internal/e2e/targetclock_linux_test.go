package e2e

import (
	"context"
	"iter"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// skewed is a store whose clock is off.
type skewed struct {
	backend.Objects
	by time.Duration
}

func (s skewed) shift(info backend.Info, err error) (backend.Info, error) {
	if !info.Modified.IsZero() {
		info.Modified = info.Modified.Add(s.by)
	}
	return info, err
}

func (s skewed) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	object, err := s.Objects.Get(ctx, key, opts)
	if err == nil {
		object.Info, _ = s.shift(object.Info, nil)
	}
	return object, err
}

func (s skewed) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	return s.shift(s.Objects.Put(ctx, key, content, opts))
}

func (s skewed) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	return s.shift(s.Objects.Append(ctx, key, offset, data))
}

func (s skewed) Stat(ctx context.Context, key string) (backend.Info, error) {
	return s.shift(s.Objects.Stat(ctx, key))
}

func (s skewed) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		for info, err := range s.Objects.List(ctx, opts) {
			if !yield(s.shift(info, err)) {
				return
			}
		}
	}
}

// TestTargetClockSkew has runs on a store whose clock is an hour off that of all
// machines, and cancels one from a machine that is as far off: it gets its grace period.
func TestTargetClockSkew(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEachHere(t, func(t *testing.T, on target) {
				if on.detach {
					t.Skip("another process can't open this store")
				}
				p := newPlace(t)
				s := on.site(t, p)
				objects, err := localfs.New(p.Dir, nil)
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, objects.Close()) })
				file, err := programs()
				require.NoError(t, err)
				config := workspace.Config{Objects: skewed{objects, by}, Secrets: memory.NewSecrets(), Name: "skewed", CacheDir: filepath.Clean(p.Cache), Computes: drivers(), Program: file}
				ws, err := workspace.Create(t.Context(), config)
				require.NoError(t, err)
				t.Cleanup(func() { closeAll(t, ws) })
				_, err = ws.Compute().Create(t.Context(), on.compute, s.config, nil)
				require.NoError(t, err)

				r := on.begin(t, ws, `trap 'echo ending; sleep 4; echo ended; exit 0' TERM; echo begun; while :; do sleep 0.1; done`,
					func(c *experiment.ScriptRunConfig) { c.GracePeriod = time.Minute })
				hears(t, r, "begun\n")
				other, err := workspace.New(t.Context(), config)
				require.NoError(t, err)
				t.Cleanup(func() { closeAll(t, other) })
				seen, err := other.Runs().Get(t.Context(), r.ID(), nil)
				require.NoError(t, err)
				require.Equal(t, run.StatusRunning, seen.Status())
				elsewhere := core.New(core.Config{Objects: config.Objects, Secrets: config.Secrets, CacheDir: t.TempDir(), Workspace: workspace.Handle(ws).Workspace(),
					Now: func() time.Time { return time.Now().Add(by) }})
				t.Cleanup(func() { require.NoError(t, elsewhere.Close(context.Background())) })
				_, err = history.Transition(t.Context(), elsewhere, r.ID(), history.Step{To: record.CancelRequested, Reason: "from another machine"})
				require.NoError(t, err)
				require.ErrorIs(t, r.Wait(t.Context(), nil), azml.ErrCanceled)
				require.Equal(t, "canceled on request", r.Details().Reason)
				require.Contains(t, outputOf(t, r), "ending\nended\n")
				s.requireNothing(t, r)
			})
		})
	}
}

package run_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/compute"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// TestFollowedRunIsDeleted deletes a run between two looks of one who follows it.
func TestFollowedRunIsDeleted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"something logged", "nothing logged"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := open(t)
			r := startIn(t, ws, nil)
			if name == "something logged" {
				require.NoError(t, r.Log("x", 1, nil))
			}
			follower, err := ws.Runs().Get(t.Context(), r.ID(), nil)
			require.NoError(t, err)
			require.NoError(t, r.Complete(t.Context()))
			require.NoError(t, ws.Runs().Delete(t.Context(), r.ID(), nil))
			for _, err = range follower.Metrics(t.Context(), &run.MetricsOptions{Follow: true}) {
				if err != nil {
					break
				}
			}
			require.ErrorIs(t, err, azml.ErrNotFound)
		})
	}
}

// TestMetricsOfADeletedRun reads a run that somebody else has deleted: that is no
// run without metrics.
func TestMetricsOfADeletedRun(t *testing.T) {
	t.Parallel()
	ws := open(t)
	r := startIn(t, ws, nil)
	require.NoError(t, r.Log("x", 1, nil))
	require.NoError(t, r.Complete(t.Context()))
	require.NoError(t, ws.Runs().Delete(t.Context(), r.ID(), nil))
	for name, read := range map[string]func() error{
		"Metrics": func() (err error) {
			for _, err = range r.Metrics(t.Context(), nil) {
			}
			return err
		},
		"Summaries":     func() error { _, err := r.Summaries(t.Context()); return err },
		"Chart":         func() error { _, err := r.Chart(t.Context(), "x", nil); return err },
		"ExportMetrics": func() error { return r.ExportMetrics(t.Context(), &bytes.Buffer{}, nil) },
		"Compare": func() error {
			_, err := run.Compare(t.Context(), []*run.Run{r, startIn(t, ws, nil)}, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := read()
			require.ErrorIs(t, err, azml.ErrNotFound)
			require.ErrorContains(t, err, r.ID())
			require.NotContains(t, err.Error(), "nothing was logged")
		})
	}
}

// TestIDUsedAgain has a run object that its process still holds when the run is
// deleted and another gets the ID: whatever it does, the other keeps to itself.
func TestIDUsedAgain(t *testing.T) {
	t.Parallel()
	ws := open(t)
	first := startIn(t, ws, &experiment.RunOptions{RunID: "r", Tags: map[string]string{"of": "first"}})
	late, err := ws.Runs().Get(t.Context(), "r", nil)
	require.NoError(t, err)
	require.NoError(t, late.Log("late", 1, nil))
	require.NoError(t, first.Log("x", 1, nil))
	require.NoError(t, first.Upload(t.Context(), "same", strings.NewReader("first"), nil))
	require.NoError(t, first.Complete(t.Context()))
	require.NoError(t, ws.Runs().Delete(t.Context(), "r", nil))
	second := startIn(t, ws, &experiment.RunOptions{RunID: "r", Tags: map[string]string{"of": "second"}})
	require.Greater(t, second.Number(), first.Number())

	require.NoError(t, late.Log("late", 2, nil), "it can't know at once")
	require.NoError(t, late.Flush(t.Context()))
	for name, do := range map[string]func(*run.Run) error{
		"Refresh":  func(r *run.Run) error { return r.Refresh(t.Context()) },
		"Complete": func(r *run.Run) error { return r.Complete(t.Context()) },
		"Fail":     func(r *run.Run) error { return r.Fail(t.Context(), nil) },
		"Cancel":   func(r *run.Run) error { return r.Cancel(t.Context(), nil) },
		"Resume":   func(r *run.Run) error { return r.Resume(t.Context(), nil) },
		"Wait":     func(r *run.Run) error { return r.Wait(t.Context(), nil) },
		"Tag":      func(r *run.Run) error { return r.Tag(t.Context(), "a", "b") },
		"LogParam": func(r *run.Run) error { return r.LogParam(t.Context(), "a", "b") },
	} {
		for _, r := range []*run.Run{first, late} {
			require.ErrorIs(t, do(r), azml.ErrNotFound, name)
		}
	}
	require.Empty(t, metrics(t, second))
	files, err := second.Files(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, files)
	require.NoError(t, second.Upload(t.Context(), "same", strings.NewReader("second"), nil))
	require.NoError(t, second.Log("y", 1, nil))
	require.NoError(t, second.Complete(t.Context()))
	require.Equal(t, map[string]string{"of": "second"}, second.Details().Tags)
	require.Len(t, metrics(t, second), 1)
	report, err := ws.Fsck(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	notes := 0
	for _, n := range report.Notes {
		if strings.HasPrefix(n.Key, "runs/r/metrics-") && strings.Contains(n.Problem, "deleted") {
			notes++
		}
	}
	require.Equal(t, 1, notes, "what was logged late")
	_, err = ws.GC(t.Context(), &workspace.GCOptions{Exclusive: true})
	require.NoError(t, err)
	report, err = ws.Fsck(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, report.Notes)
	require.Len(t, metrics(t, second), 1)
}

// storing is a store in which something else is done after an object was written.
type storing struct {
	*memory.Objects
	after func(key string)
}

func (s *storing) Put(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	info, err := s.Objects.Put(ctx, key, c, opts)
	if s.after != nil {
		s.after(key)
	}
	return info, err
}

// TestIDQueuedAgain has the ID of a queued run queued anew as soon as the run is canceled:
// the entry of the next run stays.
func TestIDQueuedAgain(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]bool{"anew": true, "not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &storing{Objects: memory.NewObjects()}
			h, entry := core.New(core.Config{Objects: store, Secrets: memory.NewSecrets(), CacheDir: t.TempDir()}), compute.EntryRef("pool", "r").Key
			t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
			_, err := core.CreateQuiet(t.Context(), h, history.Ref("r").Key, record.Run{ID: "r", Life: "first", Experiment: "e", Status: record.Queued, Definition: &record.Definition{Compute: "pool", Cluster: true}})
			require.NoError(t, err)
			enqueue := func() {
				_, err := core.CreateQuiet(t.Context(), h, entry, record.QueuedRun{RunID: "r", Experiment: "e"})
				require.NoError(t, err)
			}
			enqueue()
			store.after = func(key string) {
				if again && key == history.Ref("r").Key {
					store.after = nil
					require.NoError(t, h.Objects().Delete(t.Context(), entry, &backend.DeleteOptions{}))
					enqueue()
				}
			}
			r, err := run.NewClient(h).Get(t.Context(), "r", nil)
			require.NoError(t, err)
			require.NoError(t, r.Cancel(t.Context(), nil))
			require.Equal(t, run.StatusCanceled, r.Status())
			_, err = h.Objects().Stat(t.Context(), entry)
			require.Equal(t, again, err == nil, "%v", err)
		})
	}
}

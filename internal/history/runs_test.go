package history

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/record"
)

func TestCreateFillsTheRecord(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	first, second := create(t, h, "a").Value, create(t, h, "b").Value
	require.Equal(t, 1, first.Number)
	require.Equal(t, 2, second.Number)
	require.Equal(t, "a", first.Root)
	require.Equal(t, first.Since, first.Started)
	require.Len(t, first.History, 1)
	require.Equal(t, h.Who(), first.CreatedBy)
	for _, id := range []string{"a", "", "../a", "a/b"} {
		_, err := Create(t.Context(), h, record.Run{ID: id, Experiment: "e", Status: record.Running})
		require.Error(t, err, id)
	}
	_, err := Create(t.Context(), h, record.Run{ID: "a", Experiment: "e", Status: record.Running})
	require.ErrorIs(t, err, azml.ErrExists)
	last, err := Numbers("e").Last(t.Context(), h)
	require.NoError(t, err)
	require.Equal(t, 2, last, "what was refused took no number")
}

// Without its experiment a run does not come to be.
func TestCreateWithoutExperiment(t *testing.T) {
	t.Parallel()
	h := setup(t, memory.NewObjects())
	_, err := Create(t.Context(), h, record.Run{ID: "r", Experiment: "e", Status: record.Running})
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = Get(t.Context(), h, "r")
	require.ErrorIs(t, err, azml.ErrNotFound)
}

func TestTransitionWritesHistory(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := setup(t, memory.NewObjects())
	experiment(t, h)
	_, err := Create(ctx, h, record.Run{ID: "r", Experiment: "e", Status: record.Starting})
	require.NoError(t, err)
	for _, to := range []record.Status{record.Preparing, record.Queued, record.Running, record.Finalizing, record.Completed} {
		run, err := Transition(ctx, h, "r", Step{To: to, Reason: "because " + string(to), WaitsFor: "nothing"})
		require.NoError(t, err)
		r := run.Value
		require.Equal(t, to, r.Status)
		require.Equal(t, "because "+string(to), r.Reason)
		require.Equal(t, record.Transition{Status: to, Time: r.Since, Reason: r.Reason}, r.History[len(r.History)-1])
		require.Equal(t, to == record.Completed, !r.Ended.IsZero())
	}
	run, err := Get(ctx, h, "r")
	require.NoError(t, err)
	require.Len(t, run.Value.History, 6)
	require.Equal(t, run.Value.History[3].Time, run.Value.Started)
	_, err = Transition(ctx, h, "r", Step{To: record.Failed})
	require.ErrorIs(t, err, azml.ErrConflict)
	after, err := Get(ctx, h, "r")
	require.NoError(t, err)
	require.Equal(t, run.ETag, after.ETag, "an illegal step changes nothing")
}

// TestTransitionFromBeforeACancel: who moves the run on from a record that it holds overlooks
// no cancel.
func TestTransitionFromBeforeACancel(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := setup(t, memory.NewObjects())
	experiment(t, h)
	_, err := Create(ctx, h, record.Run{ID: "r", Experiment: "e", Status: record.Starting})
	require.NoError(t, err)
	held, err := Transition(ctx, h, "r", Step{To: record.Preparing})
	require.NoError(t, err)
	_, err = Transition(ctx, h, "r", Step{To: record.CancelRequested})
	require.NoError(t, err)
	_, err = Transition(ctx, h, "r", Step{To: record.Running, From: held})
	require.ErrorIs(t, err, azml.ErrConflict)
	run, err := Get(ctx, h, "r")
	require.NoError(t, err)
	require.Equal(t, record.CancelRequested, run.Value.Status)
}

func TestTransitionOfAnotherOwner(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	h, other := setup(t, objects), setup(t, objects)
	create(t, h, "r")
	_, err := Transition(t.Context(), other, "r", Step{To: record.Completed, Owner: other.Owner().ID})
	require.ErrorIs(t, err, azml.ErrConflict)
	_, err = Transition(t.Context(), other, "none", Step{To: record.Completed})
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = Transition(t.Context(), h, "r", Step{To: record.Completed, Owner: h.Owner().ID})
	require.NoError(t, err)
}

// Of many processes that end a run at once, one does.
func TestOneEndWins(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	create(t, setup(t, objects), "r")
	var won atomic.Int32
	var all sync.WaitGroup
	for n, to := range []record.Status{record.Completed, record.Failed, record.Canceled, record.Completed, record.Failed, record.Canceled} {
		h := setup(t, objects)
		all.Go(func() {
			if _, err := Transition(t.Context(), h, "r", Step{To: to, Reason: fmt.Sprint(n)}); err == nil {
				won.Add(1)
			} else {
				require.ErrorIs(t, err, azml.ErrConflict)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, won.Load())
}

// Of many that create a run of one ID at once, one does.
func TestOneCreateWins(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	experiment(t, setup(t, objects))
	var won atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		h := setup(t, objects)
		all.Go(func() {
			_, err := Create(t.Context(), h, record.Run{ID: "r", Experiment: "e", Status: record.NotStarted})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, azml.ErrExists) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, won.Load())
}

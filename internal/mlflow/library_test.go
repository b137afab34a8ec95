package mlflow

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/run"
)

// TestLibrarySeesClients looks with the library at what clients have made, and
// with a client at what the library has made.
func TestLibrarySeesClients(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := serve(t, nil)
	id := s.story()
	post[object](s, "runs/log-metric", object{"run_id": id, "key": "m", "value": 0.5, "timestamp": 1, "step": 3})
	runs, experiments := run.NewClient(s.core), experiment.NewClient(s.core)

	r, err := runs.Get(ctx, id, nil)
	require.NoError(t, err)
	require.Equal(t, run.StatusRunning, r.Status())
	sums, err := r.Summaries(ctx)
	require.NoError(t, err)
	require.InDelta(t, 0.5, sums["m"].Last.Value, 0)
	content, err := r.Open(ctx, "a/b.txt")
	require.NoError(t, err)
	data, err := io.ReadAll(content)
	require.NoError(t, err)
	require.NoError(t, content.Close())
	require.Equal(t, "hello", string(data))
	require.ErrorIs(t, r.Upload(ctx, "a/b.txt", strings.NewReader("new"), nil), azml.ErrExists, "the library replaces no file")

	listed := func(opts *run.ListOptions) (ids []string) {
		for r, err := range runs.List(ctx, opts) {
			require.NoError(t, err)
			ids = append(ids, r.ID())
		}
		return ids
	}
	post[object](s, "runs/delete", object{"run_id": id})
	require.Empty(t, listed(nil))
	require.Equal(t, []string{id}, listed(&run.ListOptions{Deleted: true}))

	post[object](s, "experiments/update", object{"experiment_id": "e", "new_name": "f"})
	for _, name := range []string{"e", "f"} {
		e, err := experiments.Get(ctx, name, nil)
		require.NoError(t, err)
		require.Equal(t, "e", e.Name())
		require.Equal(t, "f", e.Details().Title)
		again, err := experiments.CreateOrUpdate(ctx, name, nil)
		require.NoError(t, err)
		require.Equal(t, "e", again.Name())
	}
	var names []string
	for e, err := range experiments.List(ctx, nil) {
		require.NoError(t, err)
		names = append(names, e.Name())
	}
	require.Equal(t, []string{"e"}, names, "a name more is no experiment more")

	e, err := experiments.CreateOrUpdate(ctx, "mine", &experiment.CreateOptions{Description: "about"})
	require.NoError(t, err)
	logged, err := e.Run(ctx, func(_ context.Context, r *run.Run) error { return r.Log("loss", 1, nil) }, nil)
	require.NoError(t, err)
	view := get[runResponse](s, "runs/get?run_id="+logged.ID()).Run
	require.Equal(t, statusFinished, view.Info.Status)
	require.Equal(t, "mine", view.Info.ExperimentID)
	require.Equal(t, "loss", view.Data.Metrics[0].Key)
	require.Contains(t, get[getExperimentResponse](s, "experiments/get?experiment_id=mine").Experiment.Tags, keyValue{noteTag, "about"})
}

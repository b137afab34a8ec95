package mirror_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/mirror"
	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// trained makes a run with something of everything, and a model of it.
func trained(t testing.TB, ws *workspace.Workspace, name, id string) *run.Run {
	t.Helper()
	e, err := ws.Experiments().CreateOrUpdate(t.Context(), name, &experiment.CreateOptions{Description: "about " + name})
	require.NoError(t, err)
	r, err := e.Run(t.Context(), func(ctx context.Context, r *run.Run) error {
		for step := range 300 {
			require.NoError(t, r.Log("loss", 1/float64(step+1), &run.LogOptions{Step: int64(step)}))
		}
		require.NoError(t, r.Upload(ctx, "outputs/model.txt", strings.NewReader("model of "+id), nil))
		child, err := r.Child(ctx, &run.ChildOptions{ID: id + "-child"})
		require.NoError(t, err)
		require.NoError(t, child.Log("depth", 3, nil))
		return child.Complete(ctx)
	}, &experiment.RunOptions{RunID: id, Tags: map[string]string{"team": "risk"}})
	require.NoError(t, err)
	_, err = r.RegisterModel(t.Context(), "churn", "outputs/model.txt", &model.RegisterOptions{Tags: map[string]string{"of": id}})
	require.NoError(t, err)
	return r
}

// TestOfflineRunAppears is what it is all for: what was done without a network is
// in the shared workspace afterwards, with everything.
func TestOfflineRunAppears(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cloud, laptop := pair(t)
	trained(t, laptop, "churn", "r1")
	require.NoError(t, laptop.Models().SetAlias(ctx, "churn", "champion", 1, nil))
	_, err := laptop.Environments().Register(ctx, environment.Spec{Name: "env", Python: environment.Python{Pip: []string{"numpy"}}}, nil)
	require.NoError(t, err)
	report := clean(t, cloud, laptop)
	require.Equal(t, mirror.Tally{Created: 2}, report.Runs)
	require.Equal(t, mirror.Tally{Created: 1}, report.Versions)
	require.Positive(t, report.ChunkBytes)
	require.EqualValues(t, 301, report.Points)

	r, err := cloud.Runs().Get(ctx, "r1", nil)
	require.NoError(t, err)
	want, err := laptop.Runs().Get(ctx, "r1", nil)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(want.Details()), fmt.Sprint(r.Details()))
	points := 0
	for _, err := range r.Metrics(ctx, nil) {
		require.NoError(t, err)
		points++
	}
	require.Equal(t, 300, points)
	m, err := cloud.Models().GetByAlias(ctx, "churn", "champion", nil)
	require.NoError(t, err)
	content, err := m.Open(ctx, "")
	require.NoError(t, err)
	data, err := io.ReadAll(content)
	require.NoError(t, err)
	require.NoError(t, content.Close())
	require.Equal(t, "model of r1", string(data))
	children := 0
	for _, err := range r.Children(ctx, nil) {
		require.NoError(t, err)
		children++
	}
	require.Equal(t, 1, children)
	found := 0
	for _, err := range cloud.Runs().Search(ctx, "metrics.loss < 0.01 and tags.team = 'risk'", nil) {
		require.NoError(t, err)
		found++
	}
	require.Equal(t, 1, found, "the search index notices")
	told := false
	for entry, err := range cloud.Audit(ctx, &workspace.AuditOptions{Kind: "run", Name: "r1"}) {
		require.NoError(t, err)
		told = told || entry.Op == "create" && strings.Contains(entry.Detail, "from workspace laptop")
	}
	require.True(t, told, "the audit log says where it came from")

	again := clean(t, cloud, laptop)
	require.Zero(t, again.Changes())
	require.Zero(t, again.Bytes())
	require.Eventually(t, func() bool { // until the source has sealed its metrics, which makes them look new
		return clean(t, cloud, laptop).Passed == 5
	}, time.Minute, time.Millisecond, "an experiment, two runs, a model, an environment")
	verified := synced(t, cloud, laptop, &mirror.Options{Verify: true})
	require.Zero(t, verified.Changes())
	require.Zero(t, verified.Passed)
}

package mirror_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/workspace"
)

// TestCollectedFiles: what was replaced, and collected since, is not missed, and a
// list that was condensed on one side hides nothing that the other has added.
func TestCollectedFiles(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cloud, laptop := pair(t)
	e, err := laptop.Experiments().CreateOrUpdate(ctx, "churn", nil)
	require.NoError(t, err)
	live, err := e.StartLogging(ctx, &experiment.RunOptions{RunID: "live"})
	require.NoError(t, err)
	defer func() { require.NoError(t, live.Complete(context.Background())) }()
	put := func(ws *workspace.Workspace, path, text string) {
		h := workspace.Handle(ws)
		stored, err := history.Get(ctx, h, "live")
		require.NoError(t, err)
		batch, err := h.Files().NewBatch(ctx, nil)
		require.NoError(t, err)
		require.NoError(t, batch.Add(ctx, path, 0o644, strings.NewReader(text)))
		_, err = history.RunFiles(stored.Value).AddBatch(ctx, h, batch, true)
		require.NoError(t, err)
	}
	names := func(ws *workspace.Workspace) []string {
		stored, err := history.Get(ctx, workspace.Handle(ws), "live")
		require.NoError(t, err)
		names, err := history.FileNames(ctx, workspace.Handle(ws), stored.Value)
		require.NoError(t, err)
		return names
	}
	collect := func(ws *workspace.Workspace) {
		for range 2 {
			_, err := ws.GC(ctx, &workspace.GCOptions{Exclusive: true})
			require.NoError(t, err)
		}
		sound(t, ws)
	}
	put(laptop, "model", "first")
	put(laptop, "model", "second")
	collect(laptop)
	clean(t, cloud, laptop)
	require.Equal(t, []string{"model"}, names(cloud))

	put(cloud, "cloud.txt", "c")
	put(laptop, "log", "one")
	put(laptop, "log", "two")
	_, err = laptop.GC(ctx, nil) // which condenses the list, and deletes nothing yet
	require.NoError(t, err)
	clean(t, cloud, laptop)
	clean(t, laptop, cloud)
	for _, ws := range []*workspace.Workspace{cloud, laptop} {
		collect(ws)
		require.Equal(t, []string{"cloud.txt", "log", "model"}, names(ws))
	}
	clean(t, cloud, laptop) // both were condensed
	clean(t, laptop, cloud)
	require.Equal(t, []string{"cloud.txt", "log", "model"}, names(cloud))
	third := created(t, "third", memory.NewObjects())
	clean(t, third, laptop)
	require.Equal(t, []string{"cloud.txt", "log", "model"}, names(third))
}

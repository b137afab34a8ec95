package workspace_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/workspace"
)

// TestGCOfUploads: parts are kept for a week, and gone with what became of them.
func TestGCOfUploads(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws, objects, _ := filled(t)
	var clock atomic.Int64
	h := core.New(core.Config{Objects: objects, CacheDir: t.TempDir(), Workspace: record.Workspace{ID: "w"},
		Now: func() time.Time { return time.Now().Add(time.Duration(clock.Load())) }})
	t.Cleanup(func() { require.NoError(t, h.Close(context.Background())) })
	begin := func() string {
		u, err := history.BeginUpload(ctx, h, "e/r1/artifacts/big", 1)
		require.NoError(t, err)
		batch, err := h.Files().NewBatch(ctx, nil)
		require.NoError(t, err)
		require.NoError(t, batch.Add(ctx, history.PartName(1), 0o644, strings.NewReader("part of "+u.ID)))
		_, err = history.AddPart(ctx, h, u.ID, batch)
		require.NoError(t, err)
		return u.ID
	}
	collect := func() {
		for range 2 {
			_, err := ws.GC(ctx, &workspace.GCOptions{Exclusive: true})
			require.NoError(t, err)
		}
		require.True(t, fsck(t, ws).Clean())
	}
	left := func(id string) (keys []string) {
		for info, err := range objects.List(ctx, &backend.ListOptions{Prefix: "uploads/" + id + "/"}) {
			require.NoError(t, err)
			keys = append(keys, strings.TrimPrefix(info.Key, "uploads/"+id+"/"))
		}
		return keys
	}
	clock.Store(-int64(history.UploadLife - time.Hour))
	young := begin()
	clock.Store(-int64(history.UploadLife + time.Hour))
	old, completed := begin(), begin()
	require.NoError(t, history.CompleteUpload(ctx, h, completed))
	require.Equal(t, []string{"upload.json"}, left(completed))
	clock.Store(0)
	stray := begin()
	require.NoError(t, objects.Delete(ctx, "uploads/"+stray+"/upload.json", &backend.DeleteOptions{})) // an abort that was cut off
	one, err := history.UploadParts(old).Files(ctx, h, "")
	require.NoError(t, err)

	_, err = history.Upload(ctx, h, old)
	require.ErrorIs(t, err, azml.ErrNotFound, "its time is over")
	late, err := h.Files().NewBatch(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, late.AddStored(one.Files[0]))
	_, err = history.AddPart(ctx, h, stray, late)
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.Empty(t, left(stray), "a part that comes after the end is removed")
	_, err = ws.GC(ctx, &workspace.GCOptions{DryRun: true})
	require.NoError(t, err)
	require.NotEmpty(t, left(old), "a dry run changes nothing")
	collect()
	require.Empty(t, left(old))
	require.Empty(t, left(completed))
	parts, err := history.UploadParts(young).Files(ctx, handle(t, objects), "")
	require.NoError(t, err)
	require.Len(t, parts.Files, 1)
	content, err := handle(t, objects).Files().Open(ctx, parts.Files[0])
	require.NoError(t, err)
	data := make([]byte, 4)
	_, err = content.Read(data)
	require.NoError(t, err, "what was sent is kept while more may come")
	require.NoError(t, content.Close())
	gone, err := handle(t, objects).Files().Open(ctx, one.Files[0])
	require.NoError(t, err)
	_, err = gone.Read(data)
	require.Error(t, err, "the content of what is over is gone")
	require.NoError(t, gone.Close())
}

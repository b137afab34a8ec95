package history

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/files"
	"github.com/azml-go/azml/internal/record"
)

func TestFilesOfARun(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := setup(t, memory.NewObjects())
	r := create(t, h, "r").Value
	require.NoError(t, RunFiles(r).Add(ctx, h, manifest(t, h, "outputs/b", "outputs/a/x", "outputs/ab"), false))
	require.NoError(t, RunFiles(r).Add(ctx, h, manifest(t, h, "charts/c.json"), false))
	require.NoError(t, RunFiles(r).Add(ctx, h, &files.Manifest{}, false), "nothing is added and no number taken")
	names, err := FileNames(ctx, h, r)
	require.NoError(t, err)
	require.Equal(t, []string{"charts/c.json", "outputs/a/x", "outputs/ab", "outputs/b"}, names)
	for prefix, want := range map[string][]string{
		"": names, "outputs": names[1:], "outputs/": names[1:], "outputs/a": {"outputs/a/x"}, "outputs/b": {"outputs/b"}, "out": nil, "outputs/b/c": nil,
	} {
		m, err := Files(ctx, h, r, prefix)
		require.NoError(t, err)
		var paths []string
		for _, f := range m.Files {
			paths = append(paths, f.Path)
		}
		require.Equal(t, want, paths, "prefix %q", prefix)
	}
	ids, stale, err := RunFiles(r).Manifests(ctx, h)
	require.NoError(t, err)
	require.Len(t, ids, 2)
	require.False(t, stale)
}

// TestCondensedFiles: a list shows the same before and after, to who has it in
// mind and to who reads it first, and names nothing that was replaced.
func TestCondensedFiles(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	objects := memory.NewObjects()
	one, two := setup(t, objects), setup(t, objects)
	list := RunFiles(record.Run{ID: "r", Life: "0123456789abcdef"})
	names := func(h core.Handle) (names []string) {
		m, err := list.Files(ctx, h, "")
		require.NoError(t, err)
		for _, f := range m.Files {
			names = append(names, f.Path)
		}
		return names
	}
	add := func(h core.Handle, paths ...string) {
		require.NoError(t, list.Add(ctx, h, manifest(t, h, paths...), true))
	}
	stale := func() bool {
		_, stale, err := list.Manifests(ctx, one)
		require.NoError(t, err)
		return stale
	}
	add(one, "a", "sub/b")
	add(one, "c")
	require.Equal(t, []string{"a", "c", "sub/b"}, names(two))
	require.False(t, stale())
	add(one, "a")
	require.True(t, stale(), "replaced")
	require.NoError(t, list.Condense(ctx, one))
	require.False(t, stale())
	require.NoError(t, list.Remove(ctx, two, "sub"))
	require.True(t, stale(), "removed")
	require.NoError(t, list.Condense(ctx, two))
	require.False(t, stale())
	kept, _, err := list.Manifests(ctx, one)
	require.NoError(t, err)
	require.Len(t, kept, 1)
	for info, err := range objects.List(ctx, &backend.ListOptions{Prefix: "files/manifests/"}) {
		require.NoError(t, err)
		if !strings.Contains(info.Key, kept[0]) { // as the garbage collector does
			require.NoError(t, objects.Delete(ctx, info.Key, &backend.DeleteOptions{}))
		}
	}
	for _, h := range []core.Handle{one, two, setup(t, objects)} {
		require.Equal(t, []string{"a", "c"}, names(h))
	}
}

// TestCondensingBesideWriters loses nothing that is added meanwhile.
func TestCondensingBesideWriters(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	list := RunFiles(record.Run{ID: "r", Life: "0123456789abcdef"})
	var all sync.WaitGroup
	for n := range 4 {
		h := setup(t, objects)
		all.Go(func() {
			for i := range 10 {
				require.NoError(t, list.Add(t.Context(), h, manifest(t, h, "same", fmt.Sprintf("%d/%d", n, i)), true))
			}
		})
	}
	h := setup(t, objects)
	all.Go(func() {
		for range 10 {
			require.NoError(t, list.Condense(t.Context(), h))
		}
	})
	all.Wait()
	m, err := list.Files(t.Context(), setup(t, objects), "")
	require.NoError(t, err)
	require.Len(t, m.Files, 41)
}

// TestCondensedEmpty: nothing is left of what was removed.
func TestCondensedEmpty(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := setup(t, memory.NewObjects())
	list := RunFiles(record.Run{ID: "r", Life: "0123456789abcdef"})
	require.NoError(t, list.Add(ctx, h, manifest(t, h, "a"), true))
	require.NoError(t, list.Remove(ctx, h, "a"))
	require.NoError(t, list.Condense(ctx, h))
	ids, stale, err := list.Manifests(ctx, h)
	require.NoError(t, err)
	require.Empty(t, ids)
	require.False(t, stale)
}

func TestFilesAreNeverReplaced(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	objects := memory.NewObjects()
	one, two := setup(t, objects), setup(t, objects)
	r := create(t, one, "r").Value
	require.NoError(t, RunFiles(r).Add(ctx, one, manifest(t, one, "a", "b"), false))
	err := RunFiles(r).Add(ctx, two, manifest(t, two, "c", "b", "d"), false)
	require.ErrorIs(t, err, azml.ErrExists)
	require.ErrorContains(t, err, `"b"`)
	names, err := FileNames(ctx, one, r)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, names, "all or none are added")
}

// Of many handles that add the same path at once, one wins.
func TestOneWriterOfAPathWins(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	r := create(t, setup(t, objects), "r").Value
	var won atomic.Int32
	var all sync.WaitGroup
	for n := range 8 {
		h := setup(t, objects)
		m := manifest(t, h, fmt.Sprintf("own-%d", n), "same")
		all.Go(func() {
			err := RunFiles(r).Add(t.Context(), h, m, false)
			if err == nil {
				won.Add(1)
			} else {
				require.ErrorIs(t, err, azml.ErrExists)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, won.Load())
	names, err := FileNames(t.Context(), setup(t, objects), r)
	require.NoError(t, err)
	require.Len(t, names, 2)
}

func TestArtifacts(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := setup(t, memory.NewObjects())
	r := create(t, h, "r").Value
	path, err := StoreArtifact(ctx, h, r, ArtifactPath("charts", `a/b\c:d`+"\n", ".json"), []byte("{}"))
	require.NoError(t, err)
	require.Regexp(t, `^charts/a_b_c_d__[0-9a-f]{8}\.json$`, path)
	m, err := Files(ctx, h, r, path)
	require.NoError(t, err)
	content, err := h.Files().Open(ctx, m.Files[0])
	require.NoError(t, err)
	data, err := io.ReadAll(content)
	require.NoError(t, err)
	require.NoError(t, content.Close())
	require.Equal(t, "{}", string(data))
	for _, name := range []string{"..", ".", "", strings.Repeat("ü", 300), "con"} {
		_, err := StoreArtifact(ctx, h, r, ArtifactPath("images", name, ".png"), []byte("x"))
		require.NoError(t, err, name)
	}
	require.NotEqual(t, ArtifactPath("f", "n", ""), ArtifactPath("f", "n", ""))
}

func TestCheckImage(t *testing.T) {
	t.Parallel()
	require.NoError(t, CheckImage([]byte("\x89PNG\r\n\x1a\n")))
	require.NoError(t, CheckImage([]byte(`<?xml version="1.0"?><svg xmlns="x"/>`)))
	require.ErrorIs(t, CheckImage([]byte("plain text")), azml.ErrInvalid)
	require.ErrorIs(t, CheckImage(nil), azml.ErrInvalid)
}

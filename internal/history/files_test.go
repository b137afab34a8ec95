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
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/files"
)

func TestFilesOfARun(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	h := setup(t, memory.NewObjects())
	r := create(t, h, "r").Value
	require.NoError(t, AddFiles(ctx, h, r, manifest(t, h, "outputs/b", "outputs/a/x", "outputs/ab")))
	require.NoError(t, AddFiles(ctx, h, r, manifest(t, h, "charts/c.json")))
	require.NoError(t, AddFiles(ctx, h, r, &files.Manifest{}), "nothing is added and no number taken")
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
	ids, err := Manifests(ctx, h, r)
	require.NoError(t, err)
	require.Len(t, ids, 2)
}

func TestFilesAreNeverReplaced(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	objects := memory.NewObjects()
	one, two := setup(t, objects), setup(t, objects)
	r := create(t, one, "r").Value
	require.NoError(t, AddFiles(ctx, one, r, manifest(t, one, "a", "b")))
	err := AddFiles(ctx, two, r, manifest(t, two, "c", "b", "d"))
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
			err := AddFiles(t.Context(), h, r, m)
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

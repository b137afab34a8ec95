package snapshot

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLinksThatStay(t *testing.T) {
	t.Parallel()
	plan := scan(t, tree(t, map[string]string{
		"a": "1", "sub/x": "2", "sub/y": "->x", "sub/up": "->../a", "folder": "->sub", "sub/top": "->..", "dot": "->./sub/x", "via": "->folder/x", "deep/er/z": "->../../sub/",
	}), nil)
	require.Empty(t, plan.Warnings)
	require.Empty(t, plan.Skipped)
	require.Equal(t, 9, plan.Files)
	require.Equal(t, int64(2), plan.Size)
	for path, target := range map[string]string{"sub/y": "x", "sub/up": "../a", "folder": "sub", "sub/top": "..", "via": "folder/x"} {
		e, ok := plan.Entry(path)
		require.True(t, ok, path)
		require.Equal(t, target, e.Link)
		require.NotZero(t, e.Mode&os.ModeSymlink)
	}
}

func TestLinksThatLeadNowhere(t *testing.T) {
	t.Parallel()
	plan := scan(t, tree(t, map[string]string{
		".gitignore": "hidden\nquiet*\n", "hidden": "", "x": "", "dangling": "->missing", "self": "->self", "one": "->two", "two": "->one",
		"lost": "->hidden", "gone": "->/nowhere/at/all", "out": "->../../missing", "quiet": "->/nowhere", "quiet2": "->missing",
	}), nil)
	require.Equal(t, []string{".gitignore", "dangling", "lost", "one", "self", "two", "x"}, paths(plan))
	text := strings.Join(plan.Warnings, "\n")
	for _, want := range []string{
		`"dangling" is a link to "missing", which does not exist`, `"self" is a link to "self", which leads nowhere`,
		`"one" is a link`, `"two" is a link`, `"lost" is a link to "hidden", which is not taken`,
	} {
		require.Contains(t, text, want)
	}
	require.Len(t, plan.Warnings, 5)
	require.Equal(t, map[string]string{
		"gone": `it is a link to "/nowhere/at/all", which does not exist`,
		"out":  `it is a link to "../../missing", which does not exist`,
	}, skipped(plan))
}

func TestLinksOutside(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{
		"f": "123", "d/x": "12", "d/y": "->x", "d/z": "->../f", "d/.gitignore": "skip\n", "d/skip": "", "d/node_modules/a": "", "venv/pyvenv.cfg": "", "big/b": "",
	})
	dir := tree(t, map[string]string{
		".gitignore": "big/\n*.no\n", "file": "->" + outside + "/f", "folder": "->" + outside + "/d", "again": "->" + outside + "/d", "env": "->" + outside + "/venv",
		"big": "->" + outside + "/big", "f.no": "->" + outside + "/f", "src/a": "1", "abs": "", "back": "->src/../src/a",
	})
	grow(t, dir, "inside", "->"+dir+"/src")
	plan := scan(t, dir, nil)
	require.Equal(t, []string{
		".gitignore", "abs", "again/.gitignore", "again/x", "again/y", "again/z", "back", "file", "folder/.gitignore", "folder/x", "folder/y", "folder/z", "inside/a", "src/a",
	}, paths(plan))
	e, _ := plan.Entry("file")
	require.True(t, e.Mode.IsRegular())
	require.Equal(t, int64(3), e.Size)
	e, _ = plan.Entry("folder/y")
	require.Equal(t, "x", e.Link)
	e, _ = plan.Entry("folder/z") // leads out of the followed folder: its content
	require.True(t, e.Mode.IsRegular())
	e, _ = plan.Entry("back")
	require.True(t, e.Mode.IsRegular())
	require.Empty(t, plan.Skipped)
	gone := ignored(plan)
	require.Equal(t, ".gitignore:1: big/", gone["big"])
	require.Equal(t, ".gitignore:2: *.no", gone["f.no"])
	require.Equal(t, "folder/.gitignore:1: skip", gone["folder/skip"])
	require.Contains(t, gone["env"], "pyvenv.cfg")
	require.Contains(t, gone["folder/node_modules"], "built-in")
}

func TestLinkLoops(t *testing.T) {
	t.Parallel()
	outside := tree(t, map[string]string{"d/x": ""})
	dir := tree(t, map[string]string{"sub/a": "", "out": "->" + outside + "/d"})
	grow(t, dir, "sub/top", "->"+dir)
	grow(t, outside, "d/back", "->"+dir)
	grow(t, outside, "d/self", "->"+outside+"/d")
	plan := scan(t, dir, nil)
	require.Equal(t, []string{"out/x", "sub/a"}, paths(plan))
	require.Len(t, plan.Skipped, 3)
	for _, s := range plan.Skipped {
		require.Contains(t, s.Reason, "the folder that is being read", s.Path)
	}
}

// Folders that all link to each other are a graph with an exponential number
// of ways through it.
func TestManyLinksBetweenFolders(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	const n = 30
	for i := range n {
		grow(t, outside, strconv.Itoa(i)+"/file", "")
		for j := range n {
			grow(t, outside, filepath.Join(strconv.Itoa(i), "to"+strconv.Itoa(j)), "->"+filepath.Join(outside, strconv.Itoa(j)))
		}
	}
	plan := scan(t, tree(t, map[string]string{"in": "->" + outside + "/0"}), nil)
	require.Equal(t, n, plan.Files)
}

package snapshot

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// tree makes a folder with these files. A value that begins with "->" makes a
// symbolic link, a path that ends in "/" an empty folder.
func tree(t *testing.T, entries map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, text := range entries {
		grow(t, dir, path, text)
	}
	return dir
}

func grow(t *testing.T, dir, path, text string) {
	t.Helper()
	full := filepath.Join(dir, path)
	if strings.HasSuffix(path, "/") {
		require.NoError(t, os.MkdirAll(full, 0o777))
		return
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o777))
	if target, isLink := strings.CutPrefix(text, "->"); isLink {
		require.NoError(t, os.Symlink(target, full))
		return
	}
	require.NoError(t, os.WriteFile(full, []byte(text), 0o666))
}

func scan(t *testing.T, dir string, opts *Options) *Plan {
	t.Helper()
	plan, err := Scan(t.Context(), dir, opts)
	require.NoError(t, err)
	return plan
}

func paths(p *Plan) []string {
	list := []string{}
	for _, e := range p.Entries {
		list = append(list, e.Path)
	}
	return list
}

func ignored(p *Plan) map[string]string {
	m := map[string]string{}
	for _, i := range p.Ignored {
		m[i.Path] = i.Reason
	}
	return m
}

func skipped(p *Plan) map[string]string {
	m := map[string]string{}
	for _, s := range p.Skipped {
		m[s.Path] = s.Reason
	}
	return m
}

func TestIgnoreFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string
		gone  map[string]string
	}{
		{"none", map[string]string{"b": "", "a/x": "", "a.b": ""}, []string{"a.b", "a/x", "b"}, map[string]string{}},
		{
			"gitignore, nested too",
			map[string]string{".gitignore": "*.log\n", "sub/.gitignore": "!keep.log\n", "a.log": "", "sub/keep.log": "", "sub/x.log": ""},
			[]string{".gitignore", "sub/.gitignore", "sub/keep.log"},
			map[string]string{"a.log": ".gitignore:1: *.log", "sub/x.log": ".gitignore:1: *.log"},
		},
		{
			"amlignore wins everywhere",
			map[string]string{".gitignore": "*.log\n", ".amlignore": "*.tmp\n", "sub/.gitignore": "*\n", "sub/.amlignore": "y\n", "a.log": "", "a.tmp": "", "sub/x": "", "sub/y": ""},
			[]string{".amlignore", ".gitignore", "a.log", "sub/.amlignore", "sub/.gitignore", "sub/x"},
			map[string]string{"a.tmp": ".amlignore:1: *.tmp", "sub/y": "sub/.amlignore:1: y"},
		},
		{
			"amlignore below does not count without one at the top",
			map[string]string{"sub/.amlignore": "x\n", "sub/x": ""},
			[]string{"sub/.amlignore", "sub/x"}, map[string]string{},
		},
		{
			"empty amlignore",
			map[string]string{".gitignore": "x\n", ".amlignore": "", "x": ""},
			[]string{".amlignore", ".gitignore", "x"}, map[string]string{},
		},
		{
			"ignored folders are not read",
			map[string]string{".gitignore": "data/\n!data/keep\n", "data/keep": "", "data/x": ""},
			[]string{".gitignore"}, map[string]string{"data": ".gitignore:1: data/"},
		},
		{
			"empty folders",
			map[string]string{".gitignore": "*.log\n", "empty/": "", "logs/a.log": "", "full/x": ""},
			[]string{".gitignore", "empty", "full/x", "logs"}, map[string]string{"logs/a.log": ".gitignore:1: *.log"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			plan := scan(t, tree(t, c.files), nil)
			require.Equal(t, c.want, paths(plan))
			require.Equal(t, c.gone, ignored(plan))
			require.Empty(t, plan.Warnings)
		})
	}
}

func TestIgnoreFileThatIsALink(t *testing.T) {
	t.Parallel()
	plan := scan(t, tree(t, map[string]string{"rules": "x\n", ".gitignore": "->rules", "x": ""}), nil)
	require.Equal(t, []string{".gitignore", "rules", "x"}, paths(plan))
	require.Len(t, plan.Warnings, 1)
	require.Contains(t, plan.Warnings[0], `".gitignore"`)
}

func builtinTree() map[string]string {
	return map[string]string{
		"a.py": "", ".git/config": "", "sub/.git": "gitdir: ../x", "__pycache__/a.pyc": "", "web/node_modules/x/y.js": "", ".venv/x": "", "env/pyvenv.cfg": "",
		"conda/conda-meta/history": "", ".ipynb_checkpoints/x": "", ".pytest_cache/x": "", ".mypy_cache/x": "", ".ruff_cache/x": "", ".tox/x": "", ".azml/x": "", "ws/workspace.json": "", "ws/.localfs/tmp/x": "", "web/workspace.json": "", "own/x": "",
		"node_modules.py": "", "doc/node_modules": "a file",
	}
}

func TestBuiltinRules(t *testing.T) {
	t.Parallel()
	dir := tree(t, builtinTree())
	opts := &Options{Exclude: []string{filepath.Join(dir, "own"), filepath.Join(dir, "missing")}}
	plan := scan(t, dir, opts)
	require.Equal(t, []string{"a.py", "doc/node_modules", "node_modules.py", "sub", "web/workspace.json"}, paths(plan))
	gone := ignored(plan)
	for _, path := range []string{
		".git", "sub/.git", "__pycache__", "web/node_modules", ".venv", "env", "conda", ".ipynb_checkpoints", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".tox", ".azml", "ws", "own",
	} {
		require.Contains(t, gone[path], "built-in: ", path)
	}
	require.Len(t, gone, 15)
	require.Equal(t, 14, plan.IgnoredFolders())

	opts.NoDefaults = true
	plan = scan(t, dir, opts)
	require.Len(t, plan.Entries, len(builtinTree())-3+1) // but .git, sub/.git and own; sub is empty then
	require.Len(t, plan.Ignored, 3)
}

func TestTakingBackBuiltinRules(t *testing.T) {
	t.Parallel()
	files := builtinTree()
	files[".gitignore"] = "!.git/\n!*/\n"
	require.Len(t, scan(t, tree(t, files), nil).Ignored, 14)
	files[".gitignore"] = "!.git/\n!node_modules/\n!/env\n!/conda/\n__pycache__\n"
	plan := scan(t, tree(t, files), nil)
	got := paths(plan)
	require.Contains(t, got, "web/node_modules/x/y.js")
	require.Contains(t, got, "env/pyvenv.cfg")
	require.Contains(t, got, "conda/conda-meta/history")
	require.Equal(t, ".gitignore:5: __pycache__", ignored(plan)["__pycache__"])
	require.Contains(t, ignored(plan)[".git"], "built-in")
}

func TestSourceThatIsAVirtualEnvironment(t *testing.T) {
	t.Parallel()
	plan := scan(t, tree(t, map[string]string{"pyvenv.cfg": "", "a.py": ""}), nil)
	require.Len(t, plan.Entries, 2)
	require.Len(t, plan.Warnings, 1)
}

func TestWrongSource(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a": ""})
	_, err := Scan(t.Context(), filepath.Join(dir, "missing"), nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = Scan(t.Context(), filepath.Join(dir, "a"), nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = Scan(t.Context(), dir, &Options{Exclude: []string{dir}})
	require.ErrorIs(t, err, azml.ErrInvalid)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Scan(ctx, dir, nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestRequire(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{".gitignore": "*.tmp\nout/\n", "train.py": "", "sub/x.py": "", "a.tmp": "", "out/y.py": "", `b\c.py`: ""})
	scan(t, dir, &Options{Require: []string{"train.py", "./sub/x.py"}})
	for path, want := range map[string]struct {
		class error
		text  string
	}{
		"missing.py": {azml.ErrNotFound, "missing.py"},
		"a.tmp":      {azml.ErrInvalid, ".gitignore:1: *.tmp"},
		"out/y.py":   {azml.ErrInvalid, ".gitignore:2: out/"},
		`b\c.py`:     {azml.ErrInvalid, "backslash"},
		"../x":       {azml.ErrNotFound, "../x"},
		".":          {azml.ErrNotFound, "."},
	} {
		_, err := Scan(t.Context(), dir, &Options{Require: []string{path}})
		require.ErrorIs(t, err, want.class, path)
		require.ErrorContains(t, err, want.text, path)
	}
}

func TestVeryDeepTree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	name := strings.Repeat("d", 200)
	for range 30 { // deeper than one path can name
		require.NoError(t, root.Mkdir(name, 0o777))
		next, err := root.OpenRoot(name)
		require.NoError(t, err)
		require.NoError(t, root.Close())
		root = next
	}
	require.NoError(t, root.Close())
	plan := scan(t, dir, nil)
	require.Len(t, plan.Skipped, 1)
	require.Len(t, plan.Entries, 1)
}

func TestModesAndSizes(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"a": "12345", "run.sh": "123"})
	require.NoError(t, os.Chmod(filepath.Join(dir, "run.sh"), 0o750))
	plan := scan(t, dir, nil)
	require.Equal(t, int64(8), plan.Size)
	require.Equal(t, 2, plan.Files)
	e, ok := plan.Entry("run.sh")
	require.True(t, ok)
	require.Equal(t, fs.FileMode(0o750), e.Mode)
	require.Equal(t, int64(3), e.Size)
	require.Equal(t, filepath.Join(dir, "run.sh"), e.OSPath)
	_, ok = plan.Entry("missing")
	require.False(t, ok)
}

func BenchmarkScan(b *testing.B) {
	dir := b.TempDir()
	for i := range 5000 {
		path := filepath.Join(dir, string(rune('a'+i%20)), string(rune('a'+i/20%10)))
		if i < 200 {
			require.NoError(b, os.MkdirAll(path, 0o777))
		}
		require.NoError(b, os.WriteFile(filepath.Join(path, "file"+string(rune('a'+i/200))+".txt"), nil, 0o666))
	}
	require.NoError(b, os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*.pyc\n*.log\n/build/\ndata/**/*.csv\n"), 0o666))
	for b.Loop() {
		plan, err := Scan(b.Context(), dir, nil)
		require.NoError(b, err)
		require.Equal(b, 5001, plan.Files)
	}
}

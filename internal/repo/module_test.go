package repo

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// modulePath is the path of the module whose rules these are.
const modulePath = "github.com/azml-go/azml"

// module is the parsed Go code of a source tree.
type module struct {
	fset     *token.FileSet
	packages map[string]*pkg // by folder, "" for the root
}

// pkg is one folder of Go code.
type pkg struct {
	dir   string
	files []source // product code
	tests []source // _test.go files
}

// source is one parsed Go file.
type source struct {
	path string
	ast  *ast.File
}

// load parses all Go files of a tree, but for testdata, hidden folders and
// nested modules, which go's own "./..." leaves out too.
func load(tree fs.FS) (*module, error) {
	m := &module{fset: token.NewFileSet(), packages: map[string]*pkg{}}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && leftOut(tree, name):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		return m.parse(tree, name)
	})
	return m, err
}

func leftOut(tree fs.FS, dir string) bool {
	if dir == "." {
		return false
	}
	base := path.Base(dir)
	_, err := fs.Stat(tree, dir+"/go.mod")
	return err == nil || base == "testdata" || base[0] == '.' || base[0] == '_'
}

func (m *module) parse(tree fs.FS, name string) error {
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(m.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(name)
	if dir == "." {
		dir = ""
	}
	p := m.packages[dir]
	if p == nil {
		p = &pkg{dir: dir}
		m.packages[dir] = p
	}
	if strings.HasSuffix(name, "_test.go") {
		p.tests = append(p.tests, source{name, file})
	} else {
		p.files = append(p.files, source{name, file})
	}
	return nil
}

// sorted gives the packages by folder.
func (m *module) sorted() []*pkg {
	var list []*pkg
	for _, dir := range slices.Sorted(maps.Keys(m.packages)) {
		list = append(list, m.packages[dir])
	}
	return list
}

// at gives a position as "file:line".
func (m *module) at(pos token.Pos) string {
	p := m.fset.Position(pos)
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// imports gives the import paths of a file.
func (s source) imports() []string {
	var paths []string
	for _, spec := range s.ast.Imports {
		p, _ := strconv.Unquote(spec.Path.Value) // the parser accepted it
		paths = append(paths, p)
	}
	return paths
}

// own cuts the module's path off an import path; false for other modules.
func own(importPath string) (dir string, ok bool) {
	if importPath == modulePath {
		return "", true
	}
	return strings.CutPrefix(importPath, modulePath+"/")
}

// tree is the repository.
func tree() fs.FS { return os.DirFS("../..") }

// repository parses this repository.
func repository(t *testing.T) *module {
	t.Helper()
	m, err := load(tree())
	require.NoError(t, err)
	require.Contains(t, m.packages, "backend", "the tree that was read is not the module's")
	return m
}

// nestedModules are the folders of the modules within this repository that users get,
// too. What they may import is not asked for: none of them is imported here.
var nestedModules = []string{"onnx"}

// nested parses the nested modules.
func nested(t *testing.T) (list []*module) {
	t.Helper()
	for _, dir := range nestedModules {
		m, err := load(os.DirFS("../../" + dir))
		require.NoError(t, err)
		require.Contains(t, m.packages, "", "the tree that was read is not the module's")
		list = append(list, m)
	}
	return list
}

// sketch parses a module made up by a test: file name to text.
func sketch(t *testing.T, files map[string]string) *module {
	t.Helper()
	m, err := load(sketchTree(files))
	require.NoError(t, err)
	return m
}

func sketchTree(files map[string]string) fs.FS {
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return tree
}

func TestLoadLeavesOutWhatGoLeavesOut(t *testing.T) {
	t.Parallel()
	m := sketch(t, map[string]string{
		"a.go":             "package a",
		"b/b.go":           "package b",
		"b/b_test.go":      "package b",
		"b/testdata/x.go":  "this is no Go",
		".git/x.go":        "this is no Go",
		"_old/x.go":        "this is no Go",
		"nested/go.mod":    "module nested",
		"nested/nested.go": "this is no Go",
	})
	require.Len(t, m.packages, 2)
	require.Len(t, m.packages["b"].files, 1)
	require.Len(t, m.packages["b"].tests, 1)
	require.Equal(t, "b/b_test.go", m.packages["b"].tests[0].path)
}

func TestLoadRefusesBrokenGo(t *testing.T) {
	t.Parallel()
	_, err := load(sketchTree(map[string]string{"a.go": "package"}))
	require.ErrorContains(t, err, "a.go:1")
}

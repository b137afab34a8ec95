package repo

import (
	"io/fs"
	"path"
	"testing"

	"github.com/stretchr/testify/require"
)

// bundles are the endings of files that hold other projects' work, or what is built:
// dependencies come from package registries.
var bundles = map[string]bool{".whl": true, ".jar": true, ".zip": true, ".tar": true, ".gz": true, ".tgz": true, ".bz2": true,
	".xz": true, ".deb": true, ".so": true, ".dll": true, ".exe": true, ".a": true, ".class": true, ".pyc": true}

// bundleProblems lists the files of a tree that are bundles, but for git's own and those
// that git is told to ignore.
func bundleProblems(tree fs.FS) (problems []string, err error) {
	err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || name == ".ci/out" || path.Base(name) == "__pycache__"):
			return fs.SkipDir
		case !d.IsDir() && bundles[path.Ext(name)]:
			problems = append(problems, name+": a bundle: have it installed, or made by a test")
		}
		return nil
	})
	return problems, err
}

func TestNoBundles(t *testing.T) {
	t.Parallel()
	problems, err := bundleProblems(tree())
	require.NoError(t, err)
	requireNone(t, problems)
}

func TestNoBundlesCanFail(t *testing.T) {
	t.Parallel()
	problems, err := bundleProblems(sketchTree(map[string]string{"a.go": "", "x/y-1.0-py3-none-any.whl": "", ".ci/out/a.zip": "", "x/__pycache__/a.pyc": ""}))
	require.NoError(t, err)
	require.Equal(t, []string{"x/y-1.0-py3-none-any.whl: a bundle: have it installed, or made by a test"}, problems)
}

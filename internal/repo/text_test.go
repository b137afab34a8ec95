package repo

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// maxLines is the length beyond which a Go file has more than one subject.
const maxLines = 600

// textRule is a pattern that no tracked text may match.
type textRule struct {
	pattern *regexp.Regexp
	reason  string
}

// textRules are written in pieces, so that this file keeps them itself.
var textRules = []textRule{
	{
		regexp.MustCompile(`\b(` + "TO" + "DO|FIX" + `ME)\b`),
		"finish it or leave it out",
	},
	{
		// A path that begins at the root, not one below a folder named alike.
		regexp.MustCompile("(?m)(^|[^\\w.$}/-])" + `/(wo` + `rk|ro` + `ot|ho` + `me/\w+)/`),
		"a path of one machine",
	},
	{
		regexp.MustCompile(`(?i)\b(` + strings.Join([]string{
			"proxy.gol" + "ang", "sum.gol" + "ang", "go" + "proxy.io", "py" + "pi.org", "python" + "hosted.org",
			"registry.np" + "mjs", "registry.ya" + "rnpkg", "ma" + "ven.org", "maven.apa" + "che.org", "crat" + "es.io",
			"deb.deb" + "ian", "security.deb" + "ian", "archive.ub" + "untu",
		}, "|") + `)\b`),
		"the host name of a package registry: the clients' own settings say where packages come from",
	},
	{
		regexp.MustCompile(`(?i)\b(iss` + `ue #?\d+|CE` + `O\b|(this|next|last|later|earlier|previous) sess` + `ion\b|sha` + `red/\w+\.md)`),
		"how the work was done is no part of the project",
	},
}

// textProblems lists the lines that break a rule.
func textProblems(name string, text []byte) []string {
	var problems []string
	for _, rule := range textRules {
		for _, at := range rule.pattern.FindAllIndex(text, -1) {
			line := 1 + bytes.Count(text[:at[0]], []byte("\n"))
			problems = append(problems, fmt.Sprintf("%s:%d: %q: %s", name, line, text[at[0]:at[1]], rule.reason))
		}
	}
	if lines := bytes.Count(text, []byte("\n")); path.Ext(name) == ".go" && lines > maxLines {
		problems = append(problems, fmt.Sprintf("%s: %d lines, at most %d: split it by subject", name, lines, maxLines))
	}
	return problems
}

// eachText calls do for every text file of a tree, but for git's own files,
// the check command's reports, and what fuzzing found.
func eachText(tree fs.FS, do func(name string, text []byte)) error {
	return fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".git" && !d.IsDir(): // in a linked worktree it is a file
			return nil
		case name == ".git" || name == ".ci/out" || strings.HasSuffix(name, "/testdata/fuzz"):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil // .git is a file in a work tree beside the first
		case !d.Type().IsRegular():
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err == nil && utf8.Valid(text) && !bytes.ContainsRune(text, 0) {
			do(name, text)
		}
		return err
	})
}

func TestText(t *testing.T) {
	t.Parallel()
	var problems []string
	seen := 0
	require.NoError(t, eachText(tree(), func(name string, text []byte) {
		seen++
		problems = append(problems, textProblems(name, text)...)
	}))
	requireNone(t, problems)
	require.Greater(t, seen, 20, "the tree that was read is not the repository's")
}

func TestTextCanFail(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"plain":              {"nothing wrong\n", ""},
		"left over":          {"a\nb // TO" + "DO: later\n", "x.go:2: "},
		"machine":            {"dir := \"/ro" + "ot/go\"", "a path of one machine"},
		"home":               {"see /ho" + "me/ann/notes", "a path of one machine"},
		"not at the root":    {"testdata/wo" + "rk/a ./wo" + "rk/b $DIR/ro" + "ot/c", ""},
		"URL":                {"https://example.com/wo" + "rk/a", ""},
		"registry":           {"pip --index https://py" + "pi.org/simple", "package registry"},
		"registry, capitals": {"DEB.DEB" + "IAN.org", "package registry"},
		"tracker":            {"as iss" + "ue 3 asks", "how the work was done"},
		"other word":         {"an issuer, a session of SSH", ""},
		"long":               {strings.Repeat("\n", maxLines+1), "601 lines"},
		"as long as allowed": {strings.Repeat("\n", maxLines), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireProblem(t, textProblems("x.go", []byte(tt.text)), tt.want)
		})
	}
}

func TestEachTextLeavesOutWhatIsNotTracked(t *testing.T) {
	t.Parallel()
	var seen []string
	require.NoError(t, eachText(sketchTree(map[string]string{
		".git/config":           "a",
		".ci/out/test.txt":      "a",
		".ci/run":               "a",
		"x/testdata/fuzz/F/abc": "a",
		"x/testdata/a.yaml":     "a",
		"x/testdata/a.bin":      "a\x00",
		"x/testdata/latin":      "\xe9",
	}), func(name string, _ []byte) { seen = append(seen, name) }))
	require.Equal(t, []string{".ci/run", "x/testdata/a.yaml"}, seen)
	seen = nil
	require.NoError(t, eachText(sketchTree(map[string]string{".git": "gitdir: elsewhere", "x.go": "a"}), func(name string, _ []byte) { seen = append(seen, name) }))
	require.Equal(t, []string{"x.go"}, seen)
}

package gitignore

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

var (
	casesFlag = flag.Int("cases", 500, "how many random ignore files to compare with git")
	seedFlag  = flag.Uint64("seed", 0, "seed of the comparison with git, 0 for one of its own")
)

// repo is a random tree in a git repository, with what is in it.
type repo struct {
	dir     string
	folders []string // "" first, then every folder before what lies in it
	paths   []string // everything, folders too
	isDir   map[string]bool
}

func newRepo(t *testing.T) *repo {
	t.Helper()
	testenv.Git(t)
	r := &repo{dir: t.TempDir(), folders: []string{""}, isDir: map[string]bool{"": true}}
	out, err := r.git("init", "--quiet").CombinedOutput()
	require.NoError(t, err, string(out))
	return r
}

func (r *repo) git(args ...string) *exec.Cmd {
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL="+os.DevNull, "HOME="+r.dir)
	return cmd
}

func (r *repo) osPath(path string) string {
	return filepath.Join(r.dir, filepath.FromSlash(path))
}

func (r *repo) add(t *testing.T, path string, isDir bool) {
	t.Helper()
	if isDir {
		require.NoError(t, os.Mkdir(r.osPath(path), 0o777))
		r.folders = append(r.folders, path)
	} else {
		require.NoError(t, os.WriteFile(r.osPath(path), nil, 0o666))
	}
	r.paths = append(r.paths, path)
	r.isDir[path] = isDir
}

// grow fills the repository with about n random paths.
func (r *repo) grow(t *testing.T, rnd *rand.Rand, n int) {
	t.Helper()
	for range n {
		parent := r.folders[rnd.IntN(len(r.folders))]
		path := randomName(rnd)
		if parent != "" {
			path = parent + "/" + path
		}
		if _, taken := r.isDir[path]; taken || strings.Count(path, "/") > 6 {
			continue
		}
		if rnd.IntN(12) == 0 {
			require.NoError(t, os.Symlink(randomName(rnd), r.osPath(path)))
			r.paths = append(r.paths, path)
			r.isDir[path] = false
			continue
		}
		r.add(t, path, rnd.IntN(2) == 0)
	}
}

// gitSays asks git about every path. The answers have the form of weSay.
func (r *repo) gitSays(t *testing.T) map[string]string {
	t.Helper()
	cmd := r.git("check-ignore", "--no-index", "--stdin", "-z", "-v", "-n")
	cmd.Stdin = strings.NewReader(strings.Join(r.paths, "\x00") + "\x00")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() > 1 {
		t.Fatalf("git: %v: %s", err, stderr.String())
	}
	fields := strings.Split(string(out), "\x00")
	answers := map[string]string{}
	for ; len(fields) >= 4; fields = fields[4:] {
		answers[fields[3]] = fields[0] + ":" + fields[1] + ": " + fields[2]
	}
	return answers
}

// weSay asks this package about every path, with the ignore files given by
// their folders.
func (r *repo) weSay(files map[string]string) map[string]string {
	matchers := map[string]*Matcher{}
	answers := map[string]string{}
	for _, folder := range r.folders {
		var patterns *Patterns
		if data, ok := files[folder]; ok {
			patterns = Parse(strings.TrimPrefix(folder+"/.gitignore", "/"), []byte(data))
		}
		if folder == "" {
			matchers[""] = New(patterns)
			continue
		}
		parent, name := split(folder)
		matchers[folder] = matchers[parent].Enter(name, patterns)
	}
	for _, path := range r.paths {
		parent, name := split(path)
		answers[path] = ":: "
		if _, by := matchers[parent].Match(name, r.isDir[path]); by != nil {
			answers[path] = by.String()
		}
	}
	return answers
}

func split(path string) (parent, name string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}

// compare writes the ignore files, asks both and takes the files away again.
func (r *repo) compare(t *testing.T, files map[string]string) {
	t.Helper()
	for folder, data := range files {
		name := r.osPath(folder + "/.gitignore")
		require.NoError(t, os.WriteFile(name, []byte(data), 0o666))
		defer os.Remove(name)
	}
	require.NotEmpty(t, r.paths)
	want, got := r.gitSays(t), r.weSay(files)
	require.Len(t, want, len(r.paths))
	for _, path := range r.paths {
		if want[path] != got[path] {
			t.Fatalf("%q (folder: %t)\n git  %q\n ours %q\n files %q", path, r.isDir[path], want[path], got[path], files)
		}
	}
}

// laterGit says whether this git reads "ab**/c" as "ab*/c" (from 2.52 on).
func laterGit(t *testing.T) bool {
	t.Helper()
	r := newRepo(t)
	r.add(t, "ab", true)
	r.add(t, "ab/d", true)
	r.add(t, "ab/d/c", false)
	require.NoError(t, os.WriteFile(r.osPath(".gitignore"), []byte("ab**/c\n"), 0o666))
	return r.gitSays(t)["ab/d/c"] == ":: "
}

// textThenAsterisks finds the patterns on which versions of git differ.
var textThenAsterisks = regexp.MustCompile(`(?m)^!?[^*?[\\\n]*[^*?[\\\n/!]\*\*`)

func TestAgreesWithGit(t *testing.T) {
	t.Parallel()
	later := laterGit(t)
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", seed)
	cases := *casesFlag
	if testing.Short() {
		cases /= 10
	}
	const perTree = 10
	for tree := range cases / perTree {
		t.Run(strconv.Itoa(tree), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, uint64(tree)))
			r := newRepo(t)
			r.add(t, "a", true)
			r.grow(t, rnd, 60+rnd.IntN(120))
			for range perTree {
				files := map[string]string{"": randomFile(rnd, r)}
				for rnd.IntN(2) == 0 {
					files[r.folders[rnd.IntN(len(r.folders))]] = randomFile(rnd, r)
				}
				for folder, data := range files {
					if later {
						files[folder] = textThenAsterisks.ReplaceAllString(data, "x")
					}
				}
				r.compare(t, files)
			}
		})
	}
}

var names = []string{
	"a", "b", "c", "ab", "abc", "a.b", "b.txt", "c.txt", "foo", "bar", "x", "A", "B.TXT", "a b", " ", "a ", " a",
	"!a", "#a", "[a]", "a[", "]", "-", "^", "*", "**", "?", `\`, `a\`, `\a`, "a\nb", "a\tb", "a\rb", "é", "\xff\xfe", ".a", "..a", "aaaa", "1", "a1",
}

func randomName(rnd *rand.Rand) string {
	if rnd.IntN(4) == 0 {
		return pick(rnd, names)
	}
	n := 1 + rnd.IntN(3)
	var b strings.Builder
	for range n {
		b.WriteString(pick(rnd, []string{"a", "b", "c", "a", "b", "1", ".", "-"}))
	}
	if name := b.String(); strings.Trim(name, ".") != "" {
		return name
	}
	return "a"
}

func randomFile(rnd *rand.Rand, r *repo) string {
	var b strings.Builder
	if rnd.IntN(10) == 0 {
		b.WriteString("\xef\xbb\xbf")
	}
	for range 1 + rnd.IntN(12) {
		b.WriteString(pick(rnd, []string{"", "", "", "", "!", "!", "#", `\`, " "}))
		b.WriteString(randomPattern(rnd, r))
		b.WriteString(pick(rnd, []string{"", "", "", "", " ", "  ", `\ `, `\  `, "\t", "\r", " \r", `\`, "\x00a"}))
		b.WriteString("\n")
	}
	s := b.String()
	if rnd.IntN(3) == 0 {
		s = strings.TrimSuffix(s, "\n")
	}
	return s
}

// randomPattern makes a pattern from parts, or from a path of the tree with
// some of its bytes exchanged, so that it has a fair chance to match.
func randomPattern(rnd *rand.Rand, r *repo) string {
	var b strings.Builder
	if rnd.IntN(2) == 0 {
		for range 1 + rnd.IntN(6) {
			b.WriteString(pick(rnd, parts))
		}
		return b.String()
	}
	path := r.paths[rnd.IntN(len(r.paths))]
	if rnd.IntN(2) == 0 {
		_, path = split(path)
	}
	for i := range len(path) {
		switch rnd.IntN(8) {
		case 0:
			b.WriteString(pick(rnd, parts))
		case 1:
			b.WriteString(`\` + path[i:i+1])
		case 2:
			fmt.Fprintf(&b, "[%s]", path[i:i+1])
		case 3:
			b.WriteString(pick(rnd, []string{"*", "?", "**", ""}))
		default:
			b.WriteByte(path[i])
		}
	}
	b.WriteString(pick(rnd, []string{"", "", "", "/", "/*", "/**", "**", "*"}))
	return b.String()
}

var parts = []string{
	"a", "b", "c", "ab", "a", "b", "c", "1", ".", "-", "A", " ", "*", "*", "*", "?", "?", "**", "***", "/", "/", "/", "/", "**/", "/**", "/**/", "/***/", "***/",
	`**\/`, `\/`, `\`, `\*`, `\a`, "[ab]", "[a-c]", "[!a]", "[^b]", "[]a]", "[!]a]", "[a-]", "[-a]", "[c-a]", "[", "]", "[a", "[]", "[a/b]", "[[:alpha:]]", "[[:alpha:][:digit:]]",
	"[![:alpha:]]", "[[:upper:]]", "[[:space:]]", "[[:punct:]]", "[[:nosuch:]]", "[[:]", "[[:a]", "[[:alpha:]", "[:alpha:]", `[\]]`, `[\a-c]`, `[a-\c]`, `[\`, "[a-[:digit:]]", "[[:digit:]-a]", "[*]", "[?]",
	"[.-9]", "[--1]", "[\x01-\xff]", "[[a]", "{a,b}", "+(a)", "~", "é", "\xff", "!", "#", "^",
}

func pick(rnd *rand.Rand, list []string) string { return list[rnd.IntN(len(list))] }

// TestSetsAgreeWithGit compares every class and every byte.
func TestSetsAgreeWithGit(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	for c := 1; c < 256; c++ {
		if c != '/' {
			r.add(t, "n"+string([]byte{byte(c)}), false)
		}
	}
	for _, class := range []string{
		"alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit", "word", "",
	} {
		r.compare(t, map[string]string{"": "n[[:" + class + ":]]\n/?[^[:" + class + ":]x]\n"})
	}
	r.compare(t, map[string]string{"": "n[!-.]\nn[a-fA-F]\nn[\x80-\xff]\nn[]-a]\nn[\\--\\]]\n"})
}

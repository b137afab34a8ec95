package gitignore

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ignored walks down to path, whose folders have no ignore files of their own.
func ignored(m *Matcher, path string) (bool, *Pattern) {
	name, isDir := strings.CutSuffix(path, "/")
	for {
		folder, rest, more := strings.Cut(name, "/")
		if !more {
			return m.Match(name, isDir)
		}
		m, name = m.Enter(folder, nil), rest
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, yes, no string }{
		{"name at any depth", "foo", "foo foo/ a/foo foo/x a/foo/x", "foob afoo a/Foo"},
		{"ending", "*.pyc", "a.pyc .pyc a/b.pyc", "a.pyc.x pyc"},
		{"folders only", "build/", "build/ build/x a/build/", "build a/build"},
		{"anchored by a slash in front", "/foo", "foo foo/x", "a/foo"},
		{"anchored by a slash inside", "a/foo", "a/foo", "b/a/foo foo"},
		{"star stays in its folder", "a/*", "a/b a/b/c", "b/a/b"},
		{"star does not cross", "a*c/d", "abc/d ac/d", "ab/c/d"},
		{"asterisks in front", "**/x", "x a/x a/b/x", "xa a/xa"},
		{"asterisks at the end", "a/**", "a/b a/b/c", "a a/"},
		{"asterisks inside", "a/**/b", "a/b a/x/b a/x/y/b", "ab a/xb b"},
		{"three asterisks", "a/***/b", "a/b a/x/y/b", "ab"},
		{"asterisks after text", "a**/b", "a/b ab ax/y/b", "b x/a/b"},
		{"question mark", "a?c", "abc", "ac abbc"},
		{"question mark is one byte", "a?", "ab", "a\u00e9"},
		{"set", "[a-c]x", "ax bx", "dx x Ax"},
		{"not in set", "[!a]x", "bx", "ax"},
		{"class", "v[[:digit:]]", "v1", "va v"},
		{"set without end matches nothing", "[ab", "", "a b [ab"},
		{"escape", `\!a`, "!a", "a"},
		{"escaped number sign", `\#a`, "#a", "a"},
		{"comment", "#a", "", "#a a"},
		{"backslash at the end matches nothing", `a\`, "", `a a\`},
		{"taken back", "*.log\n!keep.log", "a.log", "keep.log"},
		{"last one wins", "!a\na", "a", ""},
		{"not taken back out of an ignored folder", "d/\n!d/keep", "d/ d/keep", "keep"},
		{"taken back beside ignored files", "d/*\n!d/keep", "d/x", "d/ d/keep"},
		{"carriage return and order mark", "\xef\xbb\xbfa\r\nb\r", "a b", "a\r"},
		{"nothing", "\n\n \n/\n//\n!\n", "", "a a/ a/b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := New(Parse(".gitignore", []byte(c.file)))
			for _, path := range strings.Fields(c.yes) {
				got, by := ignored(m, path)
				require.True(t, got, path)
				require.NotNil(t, by, path)
			}
			for _, path := range strings.Split(c.no, " ") {
				got, _ := ignored(m, path)
				require.False(t, got, path)
			}
		})
	}
}

func TestTrailingSpaces(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"a  ": "a", `a\ `: `a\ `, `a\  `: `a\ `, " a": " a", "  ": "", "a\t ": "a\t", `a \`: `a \`, "a\x00b": "a", "a \r": "a", "a\r\r": "a\r",
	} {
		require.Equal(t, want, trimLine(line), "%q", line)
	}
}

func TestNestedFiles(t *testing.T) {
	t.Parallel()
	top := New(Parse(".gitignore", []byte("*.log\n/only\ngone/\n")))
	sub := top.Enter("sub", Parse("sub/.gitignore", []byte("!keep.log\n/here\n")))
	deep := sub.Enter("deep", nil)
	for _, c := range []struct {
		m    *Matcher
		name string
		want bool
		by   string
	}{
		{top, "keep.log", true, ".gitignore:1: *.log"},
		{sub, "keep.log", false, "sub/.gitignore:1: !keep.log"},
		{deep, "keep.log", false, "sub/.gitignore:1: !keep.log"},
		{deep, "x.log", true, ".gitignore:1: *.log"},
		{top, "only", true, ".gitignore:2: /only"},
		{sub, "only", false, ""},
		{sub, "here", true, "sub/.gitignore:2: /here"},
		{deep, "here", false, ""},
		{top.Enter("gone", Parse("gone/.gitignore", []byte("!x"))).Enter("in", nil), "x", true, ".gitignore:3: gone/"},
	} {
		got, by := c.m.Match(c.name, false)
		require.Equal(t, c.want, got, c.name)
		if c.by == "" {
			require.Nil(t, by)
		} else {
			require.Equal(t, c.by, by.String())
		}
	}
	require.Equal(t, 3, Parse("", []byte("a\n#\nb\n[\nc")).Len())
	require.Zero(t, (*Patterns)(nil).Len())
}

func TestNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"!node_modules/": true, "!/web/node_modules": true, "node_modules": true, "!*/": false, "!node*": false, "!xnode_modules": false, "!node_modules/x": false,
	} {
		require.Equal(t, want, Parse("", []byte(text)).list[0].Names("node_modules"), text)
	}
}

// hostile patterns cost exponential time in a matcher that tries everything.
func hostile() map[string]string {
	long := strings.Repeat("a", 2000)
	deep := strings.Repeat("a/", 2000) + "a"
	return map[string]string{
		strings.Repeat("*a", 900) + "b":                long,
		strings.Repeat("a*", 900) + "b":                long,
		strings.Repeat("**/a/", 700) + "b":             deep,
		strings.Repeat("**/*a*/", 500) + "b":           deep,
		strings.Repeat("**/a*a*/", 500) + "b":          strings.Repeat(strings.Repeat("a", 20)+"/", 100) + "c",
		strings.Repeat(`*[!b]?`, 600) + "c":            long,
		"x" + strings.Repeat("**/", 1000) + "y":        "x" + deep,
		"/" + strings.Repeat("[[:alpha:]]*", 300):      strings.Repeat("a", 299),
		strings.Repeat("*", 5000) + "b":                long,
		strings.Repeat("**/", 700) + `**\/` + "**/**b": deep,
	}
}

func TestHostilePatternsAreCheap(t *testing.T) {
	t.Parallel()
	for pattern, path := range hostile() {
		p := &Pattern{Text: pattern}
		require.True(t, p.compile())
		begin := time.Now()
		require.False(t, p.match(p, path), pattern[:20])
		// A matcher that tries everything would need longer than the sun will burn.
		require.Less(t, time.Since(begin), 5*time.Second, pattern[:20])
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("*.pyc\n!keep.pyc\n/build/\n", "a/build/x.pyc")
	f.Add("a/**/b\n**/c\nd/**\n***/e", "a/x/y/b")
	f.Add("[[:alpha:]-z]\n[!]a]\n[a\n\\", "z/]")
	f.Add("\xef\xbb\xbffoo\\ \r\n#x\n!\n", "foo ")
	const maxFile, maxPath = 1000, 200 // for speed
	for pattern, path := range hostile() {
		f.Add(pattern[:min(len(pattern), maxFile)], path[:min(len(path), maxPath)])
	}
	f.Fuzz(func(t *testing.T, file, path string) {
		if len(file) > maxFile || len(path) > maxPath {
			return
		}
		begin := time.Now()
		ps := Parse("f", []byte(file))
		m := New(ps)
		for name := range strings.SplitSeq(path, "/") {
			got, by := m.Match(name, true)
			if got && (by == nil || by.Negated) {
				t.Fatalf("ignored %q by %v", name, by)
			}
			if by != nil && by.DirOnly && by == second(m.Match(name, false)) && m.excludedBy == nil {
				t.Fatalf("%v matched the file %q", by, name)
			}
			m = m.Enter(name, nil)
			if _, after := m.Match("x", false); got && after != by {
				t.Fatalf("%q is ignored, what lies in it is not", name)
			}
		}
		for _, p := range ps.list {
			if p.byPath {
				agree(t, p, path)
			}
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Fatalf("took %v", took)
		}
	})
}

func second(_ bool, p *Pattern) *Pattern { return p }

// agree compares with a matcher that tries everything, where that is possible.
func agree(t *testing.T, p *Pattern, path string) {
	t.Helper()
	if len(p.path) > 6 || len(path) > 40 || !strings.HasPrefix(path, p.literal) || len(p.path) == 0 {
		return
	}
	want := slowPath(p.path, strings.Split(path[len(p.literal):], "/"))
	require.Equal(t, want, p.match(p, path), "%q %q", p.Text, path)
}

func slowPath(g pathGlob, names []string) bool {
	switch {
	case len(g) == 0:
		return len(names) == 0
	case g[0].kind == allTheRest:
		return len(names) > 0
	case g[0].kind == anyNames && slowPath(g[1:], names):
		return true
	case len(names) == 0:
		return false
	case g[0].kind == oneName:
		return slowGlob(g[0].glob, names[0]) && slowPath(g[1:], names[1:])
	}
	return slowPath(g[1:], names[1:]) || slowPath(g, names[1:])
}

func slowGlob(g glob, s string) bool {
	// done[i] says that g[:i] matches what was read of s.
	done := make([]bool, len(g)+1)
	done[0] = true
	skipStars := func() {
		for i, t := range g {
			if t.kind == star && done[i] {
				done[i+1] = true
			}
		}
	}
	skipStars()
	for j := range len(s) {
		next := make([]bool, len(g)+1)
		for i, t := range g {
			switch {
			case !done[i]:
			case t.kind == star:
				next[i] = true
			case t.accepts(s[j]):
				next[i+1] = true
			}
		}
		done = next
		skipStars()
	}
	return done[len(g)]
}

func BenchmarkMatch(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	file := "*.pyc\n__pycache__/\n/build/\n*.log\n!keep.log\ndata/**/*.csv\n.ipynb_checkpoints\n[Dd]ebug/\n**/tmp\nout?/*.bin\n"
	m := New(Parse(".gitignore", []byte(file))).Enter("src", nil).Enter("deep", nil)
	names := make([]string, 220)
	for i := range names {
		names[i] = randomName(rnd) + pick(rnd, []string{".py", ".txt", ".log", ".csv", ""})
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, name := range names {
			m.Match(name, false)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	file := []byte("*.pyc\n__pycache__/\n/build/\n*.log\n!keep.log\ndata/**/*.csv\n.ipynb_checkpoints\n[Dd]ebug/\n**/tmp\nout?/*.bin\n")
	for b.Loop() {
		Parse("", file)
	}
}

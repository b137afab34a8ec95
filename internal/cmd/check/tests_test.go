package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// badModule is a module in which every kind of result occurs.
var badModule = map[string]string{
	"go.mod": "module example.com/bad\n\ngo 1.26\n",
	"good/a_test.go": `package good
import "testing"
func TestGood(t *testing.T) { t.Run("sub", func(t *testing.T) {}) }
func TestSkipped(t *testing.T) { t.Parallel(); t.Skip("no moon") }
func TestSkippedSub(t *testing.T) { t.Run("sub", func(t *testing.T) { t.Skip("no sun") }) }
`,
	"bad/a_test.go": `package bad
import "testing"
func TestBad(t *testing.T) { t.Run("sub", func(t *testing.T) { t.Error("this is wrong") }) }
func TestGood(t *testing.T) { t.Log("not of interest") }
`,
	"broken/a_test.go": "package broken\nvar x int = \"no number\"\n",
	"exits/a_test.go": `package exits
import ("os"; "testing")
func TestMain(m *testing.M) { m.Run(); println("left early"); os.Exit(3) }
func TestGood(t *testing.T) {}
`,
}

// checkerOf gives a checker on a module made up by a test, and what it prints.
func checkerOf(t *testing.T, files map[string]string) (*checker, *bytes.Buffer) {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	out := &bytes.Buffer{}
	return &checker{root: root, out: out, settings: settings{short: true}}, out
}

// stepNamed finds a step.
func stepNamed(t *testing.T, name string) step {
	t.Helper()
	for _, s := range steps {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no step %q", name)
	return step{}
}

func TestGoTestsAreCounted(t *testing.T) {
	t.Parallel()
	c, out := checkerOf(t, badModule)
	r := c.one(t.Context(), stepNamed(t, "test"))

	require.Error(t, r.err)
	require.Equal(t, 4, r.tests.passed, "three called TestGood, and the one around a skipped subtest")
	require.Len(t, r.tests.failures, 3, "TestBad, the package that can't be built, the one that exits")
	require.ElementsMatch(t, []string{
		"example.com/bad/good TestSkipped: no moon",
		"example.com/bad/good TestSkippedSub/sub: no sun",
	}, r.tests.skipped)

	shown := out.String()
	for _, want := range []string{"this is wrong", "cannot use \"no number\"", "left early", "ok  \texample.com/bad/good"} {
		require.Contains(t, shown, want)
	}
	require.NotContains(t, shown, "not of interest")
	kept, err := os.ReadFile(filepath.Join(c.root, ".ci", "out", "test.txt"))
	require.NoError(t, err)
	require.Contains(t, string(kept), "$ go test -json")

	out.Reset()
	c.results = []result{r}
	require.Equal(t, 1, c.report())
	require.True(t, strings.HasSuffix(out.String(), "\n4 passed, 3 failed, 2 skipped\n"), out.String())
}

func TestGoTestsPass(t *testing.T) {
	t.Parallel()
	c, out := checkerOf(t, map[string]string{"go.mod": badModule["go.mod"], "good/a_test.go": badModule["good/a_test.go"]})
	c.results = []result{c.one(t.Context(), stepNamed(t, "test"))}
	require.Equal(t, 0, c.report())
	require.True(t, strings.HasSuffix(out.String(), "\n2 passed, 0 failed, 2 skipped\n"), out.String())
}

// TestUnsteady has a test that fails the first time, and ones that no second look
// excuses: in a package that keeps data, and one that fails again.
func TestUnsteady(t *testing.T) {
	t.Parallel()
	const text = `
import ("os"; "testing")
func TestOnce(t *testing.T) {
	if f, err := os.OpenFile("before", os.O_CREATE|os.O_EXCL, 0o600); err == nil { f.Close(); t.Fatal("no time left") }
}
func TestOnceNot(t *testing.T) {}
`
	file := map[string]string{"go.mod": badModule["go.mod"], "serving/a_test.go": "package serving" + text}
	c, out := checkerOf(t, file)
	c.results = []result{c.one(t.Context(), stepNamed(t, "test"))}
	require.Equal(t, 0, c.report())
	require.Contains(t, out.String(), "unsteady test example.com/bad/serving TestOnce: it failed among all others")
	require.Contains(t, out.String(), "no time left")
	require.True(t, strings.HasSuffix(out.String(), "\n2 passed, 0 failed, 0 skipped\n"), out.String())

	for name, more := range map[string]string{
		"killed": `func TestWorkersKilled(t *testing.T) { if _, err := os.Stat("before"); err != nil { os.Mkdir("before", 0o700); t.Fatal("a point is lost") } }`,
		"panics": `func TestFirst(t *testing.T) { if _, err := os.Stat("before"); err != nil { os.Mkdir("before", 0o700); panic("what now") } }`,
		"exits":  `func TestFirst(t *testing.T) { if _, err := os.Stat("before"); err != nil { os.Mkdir("before", 0o700); t.Error("once"); os.Exit(1) } }`,
		"raced":  `func TestFirst(t *testing.T) { if _, err := os.Stat("before"); err != nil { os.Mkdir("before", 0o700); t.Error("race detected during execution of test") } }`,
	} {
		c, out := checkerOf(t, map[string]string{"go.mod": badModule["go.mod"], "serving/a_test.go": "package serving\nimport (\"os\"; \"testing\")\n" + more + "\nfunc TestLast(t *testing.T) {}\n"})
		r := c.one(t.Context(), stepNamed(t, "test"))
		require.Error(t, r.err, name)
		require.Empty(t, r.tests.unsteady, "%s: %s", name, out)
	}

	file["internal/metrics/a_test.go"] = "package metrics" + text
	file["bad/a_test.go"] = badModule["bad/a_test.go"]
	c, out = checkerOf(t, file)
	c.results = []result{c.one(t.Context(), stepNamed(t, "test"))}
	require.Equal(t, 1, c.report())
	require.Len(t, c.results[0].tests.unsteady, 1)
	require.True(t, strings.HasSuffix(out.String(), "\n4 passed, 2 failed, 0 skipped\n"), out.String())
}

func TestNamedPackagesAreThere(t *testing.T) {
	t.Parallel()
	for _, folder := range slices.Concat(strict, longest) {
		require.DirExists(t, filepath.Join("..", "..", "..", folder))
	}
}

// TestLongestPackagesBegin: the go command takes packages in the order that it is told, each
// once.
func TestLongestPackagesBegin(t *testing.T) {
	t.Parallel()
	c, _ := checkerOf(t, map[string]string{"go.mod": badModule["go.mod"], "good/a.go": "package good\n", "scheduler/a.go": "package scheduler\n"})
	j := &job{check: c, log: io.Discard}
	listed, err := j.output(t.Context(), "go", append([]string{"list"}, j.packages()...)...)
	require.NoError(t, err)
	require.Equal(t, []string{"example.com/bad/scheduler", "example.com/bad/good"}, strings.Fields(listed))
}

// TestMoreTestsAtOnceThanProcessors has a test wait until the next one has begun, too: more of
// them run at once than the go command would have.
func TestMoreTestsAtOnceThanProcessors(t *testing.T) {
	t.Parallel()
	const text = `package waits
import ("runtime"; "sync"; "testing"; "time")
func TestAll(t *testing.T) {
	n := runtime.GOMAXPROCS(0) + 1
	var begun sync.WaitGroup
	begun.Add(n)
	all := make(chan bool)
	go func() { begun.Wait(); close(all) }()
	for range n {
		t.Run("one", func(t *testing.T) {
			t.Parallel()
			begun.Done()
			select {
			case <-all:
			case <-time.After(20 * time.Second):
				t.Error("some have not begun")
			}
		})
	}
}
`
	c, _ := checkerOf(t, map[string]string{"go.mod": badModule["go.mod"], "waits/a_test.go": text})
	require.NoError(t, c.one(t.Context(), stepNamed(t, "test")).err)
	for processors, want := range map[int]int{1: 2, 2: 3, 3: 5, 4: 6} {
		require.Equal(t, want, atOnce(processors))
	}
}

func TestEndlessLineIsAnError(t *testing.T) {
	t.Parallel()
	var c counts
	err := c.read(strings.NewReader(strings.Repeat("x", 17<<20)), &bytes.Buffer{}, func(string) {})
	require.Error(t, err)
}

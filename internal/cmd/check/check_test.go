package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/azml-go/azml/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFlags(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args []string
		want settings
		fail string
	}{
		"none":         {nil, settings{}, ""},
		"short":        {[]string{"-short"}, settings{short: true}, ""},
		"lists":        {[]string{"-must", "git,python", "-only", "vet"}, settings{must: []string{"git", "python"}, only: []string{"vet"}}, ""},
		"bad ability":  {[]string{"-must", "git,moon"}, settings{}, `-must: "moon" is none of git,`},
		"bad step":     {[]string{"-only", "moon"}, settings{}, `-only: "moon" is none of abilities,`},
		"bad argument": {[]string{"all"}, settings{}, `unexpected argument "all"`},
		"bad flag":     {[]string{"-moon"}, settings{}, "not defined"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(tt.args, &bytes.Buffer{})
			if tt.fail != "" {
				require.ErrorContains(t, err, tt.fail)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for code, args := range [][]string{0: {"-list"}, 2: {"-only", "moon"}} {
		if args != nil {
			require.Equal(t, code, run(t.Context(), args, &bytes.Buffer{}), "%q", args)
		}
	}
	out := &bytes.Buffer{}
	require.Equal(t, 0, run(t.Context(), []string{"-h"}, out))
	require.Contains(t, out.String(), "-must")
}

func TestWants(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		set  settings
		want []string
	}{
		"only":  {settings{only: []string{"vet-darwin"}}, []string{"abilities", "vet-darwin"}},
		"short": {settings{short: true}, []string{"abilities", "format", "tidy", "vet", "test", "example-quickstart", "import"}},
		"all":   {settings{}, stepNames()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &checker{settings: tt.set}
			var got []string
			for _, s := range steps {
				if c.wants(s) {
					got = append(got, s.name)
				}
			}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestVerdictsAndCounts(t *testing.T) {
	t.Parallel()
	ok := func(context.Context, *job) error { return nil }
	bad := func(_ context.Context, j *job) error {
		fmt.Fprintln(j.log, "what went wrong")
		return errors.New("it broke")
	}
	skip := func(context.Context, *job) error { return fmt.Errorf("%w: no moon", errSkip) }
	c, out := checkerOf(t, nil)
	for _, s := range []step{{"good", true, ok}, {"bad", true, bad}, {"left", true, skip}} {
		c.results = append(c.results, c.one(t.Context(), s))
	}
	require.Equal(t, 1, c.report())
	for _, want := range []string{"ok   good", "FAIL bad", "it broke", "what went wrong", "skip left", "no moon"} {
		require.Contains(t, out.String(), want)
	}
	require.Contains(t, out.String(), "\n1 passed, 1 failed, 1 skipped\n")
}

func TestFormatStepFails(t *testing.T) {
	t.Parallel()
	c, _ := checkerOf(t, map[string]string{"a.go": "package   a\n"})
	r := c.one(t.Context(), stepNamed(t, "format"))
	require.ErrorContains(t, r.err, "a.go")
}

func TestVetStepFails(t *testing.T) {
	t.Parallel()
	c, out := checkerOf(t, map[string]string{
		"go.mod": badModule["go.mod"],
		"a.go":   "package a\nimport \"fmt\"\nfunc F() { fmt.Printf(\"%d\", \"no number\") }\n",
	})
	r := c.one(t.Context(), stepNamed(t, "vet"))
	require.Error(t, r.err)
	require.Contains(t, out.String(), "wrong type")
}

func TestExampleSteps(t *testing.T) {
	t.Parallel()
	main := func(body string) string { return "package main\nfunc main() {" + body + "}\n" }
	for name, tt := range map[string]struct {
		file, text string
		missing    map[string]string
		want       verdict
	}{
		"runs":            {"examples/script/main.go", main(""), nil, passed},
		"panics":          {"examples/script/main.go", main(`panic("no")`), nil, failed},
		"not there":       {"examples/other/main.go", main(""), nil, skipped},
		"ability missing": {"examples/script/main.go", main(""), map[string]string{testenv.AbilityPython: "no"}, skipped},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := checkerOf(t, map[string]string{"go.mod": badModule["go.mod"], tt.file: tt.text})
			c.prepared.Missing = tt.missing
			r := c.one(t.Context(), stepNamed(t, "example-script"))
			require.Equal(t, tt.want, r.verdict(), "%v", r.err)
		})
	}
}

func TestCommandsGetThePreparedEnvironment(t *testing.T) {
	t.Parallel()
	c, _ := checkerOf(t, nil)
	c.must = []string{"git", "python"}
	c.prepared.Env = []string{"AZML_TEST_X=1"}
	cmd := (&job{check: c, log: &bytes.Buffer{}}).command(t.Context(), "go")
	require.Contains(t, cmd.Env, "AZML_TEST_X=1")
	require.Contains(t, cmd.Env, "AZML_TEST_MUST_RUN=git,python")
	require.Equal(t, c.root, cmd.Dir)
}

func TestInterruptEndsTheRunningStepAndTheRest(t *testing.T) {
	t.Parallel()
	c, out := checkerOf(t, map[string]string{
		"go.mod": badModule["go.mod"],
		"examples/quickstart/main.go": `package main
import ("os"; "time")
func main() {
	os.WriteFile("started", nil, 0o600)
	time.Sleep(time.Minute)
}
`})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan result)
	go func() { done <- c.one(ctx, stepNamed(t, "example-quickstart")) }()
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(c.root, "started"))
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	cancel()
	begun := time.Now()
	r := <-done
	require.Less(t, time.Since(begun), grace, "the example itself was interrupted")
	require.EqualError(t, r.err, "interrupted")
	require.Equal(t, failed, c.one(ctx, stepNamed(t, "format")).verdict())
	require.NotContains(t, out.String(), "ok")
}

func TestImportFromOutsideIsSkippedWithoutWorkspace(t *testing.T) {
	t.Parallel()
	c, _ := checkerOf(t, nil)
	require.Equal(t, skipped, c.one(t.Context(), stepNamed(t, "import")).verdict())
}

package repo

import (
	"bytes"
	"go/format"
	"os/exec"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// formatProblem says what keeps a Go file from being as gofmt writes it.
func formatProblem(name string, text []byte) []string {
	formatted, err := format.Source(text)
	switch {
	case err != nil:
		return []string{name + ": " + err.Error()}
	case !bytes.Equal(formatted, text):
		return []string{name + ": not formatted, run gofmt -w " + name}
	}
	return nil
}

func TestFormat(t *testing.T) {
	t.Parallel()
	var problems []string
	require.NoError(t, eachText(tree(), func(name string, text []byte) {
		if path.Ext(name) == ".go" && !strings.Contains(name, "testdata/") {
			problems = append(problems, formatProblem(name, text)...)
		}
	}))
	requireNone(t, problems)
}

func TestFormatCanFail(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"package x\n":        "",
		"package   x\n":      "x.go: not formatted",
		"package x\nfunc {}": "x.go: 2:6",
	} {
		requireProblem(t, formatProblem("x.go", []byte(text)), want)
	}
}

func TestTidy(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("go mod tidy may load modules: left out in short mode")
	}
	cmd := exec.CommandContext(t.Context(), "go", "mod", "tidy", "-diff")
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	require.NoErrorf(t, err, "go.mod or go.sum is not tidy:\n%s", out)
}

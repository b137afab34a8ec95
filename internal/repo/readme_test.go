package repo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// goLines gives the Go code of a Markdown text, line by line, without indent.
func goLines(markdown string) []string {
	var lines []string
	inside := false
	for line := range strings.Lines(markdown) {
		line = strings.TrimSpace(line)
		switch {
		case line == "```go":
			inside = true
		case line == "```":
			inside = false
		case inside && line != "":
			lines = append(lines, line)
		}
	}
	return lines
}

// missing gives the lines that the source does not have.
func missing(lines []string, source string) []string {
	has := map[string]bool{}
	for line := range strings.Lines(source) {
		has[strings.TrimSpace(line)] = true
	}
	var out []string
	for _, line := range lines {
		if !has[line] {
			out = append(out, line)
		}
	}
	return out
}

func TestReadmeCodeIsTested(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	tour, err := os.ReadFile(filepath.Join("..", "..", "workspace", "tour_test.go"))
	require.NoError(t, err)
	lines := goLines(string(readme))
	require.Greater(t, len(lines), 30, "the README has its tour")
	require.Empty(t, missing(lines, string(tour)), "Go code of the README that no test runs: put it into workspace/tour_test.go")
}

func TestReadmeRule(t *testing.T) {
	t.Parallel()
	lines := goLines("text\n```go\n\tx := 1\n\n```\ny := 2\n```\nz\n```\n")
	require.Equal(t, []string{"x := 1"}, lines)
	require.Empty(t, missing(lines, "func f() {\n\tx := 1\n}\n"))
	require.Equal(t, lines, missing(lines, "x := 2\n"))
}

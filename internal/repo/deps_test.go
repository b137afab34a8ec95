package repo

import (
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// heavy lists what a program must not link by importing package workspace:
// paths, each with all below it.
var heavy = []string{
	"testing",
	"github.com/stretchr/testify",
	"k8s.io",
	"sigs.k8s.io",
	"github.com/Azure",
	"github.com/docker",
	"github.com/moby",
	"github.com/google/go-containerregistry",
}

// helpersOfTests may import package testing outside of _test.go files.
var helpersOfTests = []string{"backend/backendtest", "internal/testenv", "internal/workspacetest"}

// dependencyProblems lists the linked packages that are heavy.
func dependencyProblems(linked []string) []string {
	var problems []string
	for _, p := range linked {
		if slices.ContainsFunc(heavy, func(h string) bool { return within(p, h) }) {
			problems = append(problems, fmt.Sprintf("workspace links %s: pass such a driver in instead of importing it", p))
		}
	}
	return problems
}

// testingProblems lists the product files that import testing.
func testingProblems(m *module) []string {
	var problems []string
	for _, p := range m.sorted() {
		if slices.Contains(helpersOfTests, p.dir) {
			continue
		}
		for _, s := range p.files {
			for _, path := range s.imports() {
				if within(path, "testing") || within(path, "github.com/stretchr/testify") {
					problems = append(problems, fmt.Sprintf("%s: product code imports %s", s.path, path))
				}
			}
		}
	}
	return problems
}

// within tells whether a package is root or below it.
func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	if _, err := fs.Stat(tree(), "workspace"); err != nil {
		t.Skip("package workspace is not in this tree")
	}
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./workspace")
	cmd.Dir = "../.."
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, said.String())
	requireNone(t, dependencyProblems(strings.Fields(string(out))))
}

func TestDependenciesCanFail(t *testing.T) {
	t.Parallel()
	for linked, want := range map[string]string{
		"testing":                         "workspace links testing:",
		"testing/fstest":                  "workspace links testing/fstest",
		"k8s.io/client-go/kubernetes":     "workspace links k8s.io",
		"github.com/Azure/azure-sdk/core": "workspace links github.com/Azure",
		"testingtools":                    "",
		"net/http":                        "",
	} {
		requireProblem(t, dependencyProblems([]string{"fmt", linked}), want)
	}
}

func TestNoTestingInProduct(t *testing.T) {
	t.Parallel()
	requireNone(t, testingProblems(repository(t)))
}

func TestNoTestingInProductCanFail(t *testing.T) {
	t.Parallel()
	const text = "package x\nimport _ \"testing\""
	for file, want := range map[string]string{
		"run/run.go":                 "run/run.go: product code imports testing",
		"run/run_test.go":            "",
		"internal/testenv/a.go":      "",
		"backend/backendtest/all.go": "",
	} {
		requireProblem(t, testingProblems(sketch(t, map[string]string{file: text})), want)
	}
}

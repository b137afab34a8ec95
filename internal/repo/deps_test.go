package repo

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
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
	"github.com/moby/moby",
	"github.com/google/go-containerregistry",
	"github.com/minio",
	"github.com/jackc",
	"google.golang.org/grpc",
	"github.com/yalue",
	"golang.org/x/crypto/ssh",
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

// undescribed lists the direct requirements of a go.mod that the document has no
// line for, and the lines of its tables that are about none.
func undescribed(gomod, document string) []string {
	var problems []string
	required := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\t?(\S+\.\S+/\S+) v\S+$`).FindAllStringSubmatch(gomod, -1) {
		required[m[1]] = m[1] != modulePath // which a nested module requires
	}
	described := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(document, -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			described[strings.Trim(name, "`")] = true
		}
	}
	for name, foreign := range required {
		if foreign && !described[name] {
			problems = append(problems, fmt.Sprintf("docs/dependencies.md has no line about %s", name))
		}
	}
	for name := range described {
		if !required[name] {
			problems = append(problems, fmt.Sprintf("docs/dependencies.md is about %s, which go.mod does not require", name))
		}
	}
	return problems
}

func TestDependenciesAreDescribed(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		data, err := fs.ReadFile(tree(), name)
		require.NoError(t, err)
		return string(data)
	}
	required := read("go.mod")
	for _, dir := range nestedModules {
		required += read(dir + "/go.mod")
	}
	requireNone(t, undescribed(required, read("docs/dependencies.md")))
}

func TestDependenciesAreDescribedCanFail(t *testing.T) {
	t.Parallel()
	const gomod = "module x\n\nrequire (\n\texample.org/a v1.0.0\n\texample.org/b v0.1.0\n)\n\nrequire example.org/c v1.2.3 // indirect\n"
	for document, want := range map[string]string{
		"| `example.org/a` | x |\n| `example.org/b` | y |":                         "",
		"| `example.org/a`, `example.org/b` | x |":                                 "",
		"| `example.org/a` | `example.org/b` |":                                    "no line about example.org/b",
		"| `example.org/a`, `example.org/b` | x |\n| `example.org/c` | indirect |": "is about example.org/c",
	} {
		requireProblem(t, undescribed(gomod, document), want)
	}
}

// within tells whether a package is root or below it.
func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

func TestDependencies(t *testing.T) {
	t.Parallel()
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
		"github.com/minio/minio-go/v7":    "workspace links github.com/minio",
		"github.com/jackc/pgx/v5":         "workspace links github.com/jackc",
		"testingtools":                    "",
		"net/http":                        "",
	} {
		requireProblem(t, dependencyProblems([]string{"fmt", linked}), want)
	}
}

// TestNoCgo: nothing that the library and its programs link needs a C compiler or a
// shared library, but for what of Go's own also works without.
func TestNoCgo(t *testing.T) {
	t.Parallel()
	linked := func(which string) []string {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if and .CgoFiles "+which+"}}{{.ImportPath}}{{end}}", "./...")
		cmd.Dir, cmd.Env = "../..", append(os.Environ(), "CGO_ENABLED=1")
		out, err := cmd.Output()
		require.NoError(t, err)
		return strings.Fields(string(out))
	}
	require.Empty(t, linked("(not .Standard)"))
	require.Contains(t, linked(".Standard"), "net", "packages with cgo are found")
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

package repo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ranks says how high each package stands: it imports only lower ones. A name
// ending in "/" stands for every package below that folder. A package may be
// named here before it exists.
var ranks = map[string]int{
	"": 0,

	"tabular":                            5,
	"internal/atomicfile":                5,
	"internal/inorder":                   5,
	"internal/pause":                     5,
	"internal/diskspace":                 5,
	"internal/sha256many":                5,
	"internal/fingerprint":               5,
	"internal/textvalue":                 7,
	"internal/datafile":                  7,
	"internal/delimited":                 8,
	"internal/jsonlines":                 8,
	"internal/parquetfile":               8,
	"internal/certificate":               9,
	"internal/collect":                   9,
	"internal/exposition":                9,
	"internal/expr":                      12,
	"internal/openinference":             9,
	"internal/openinference/inferencepb": 5,
	"internal/signature":                 12,
	"backend":                            10,
	"poller":                             10,
	"internal/gitignore":                 10,
	"internal/gitinfo":                   10,
	"internal/mask":                      10,
	"internal/mount":                     10,
	"internal/pyenv":                     10,
	"internal/record":                    10,
	"internal/router":                    8,
	"internal/runconfig":                 10,
	"internal/scoring":                   10,
	"internal/filter":                    10,
	"internal/scheduler":                 10,
	"internal/telemetry":                 9,
	"internal/tail":                      5,
	"internal/terminal":                  10,
	"internal/tfevents":                  10,
	"internal/core":                      20,
	"internal/files":                     20,
	"internal/metrics":                   20,
	"internal/snapshot":                  20,
	"internal/image":                     22,
	"internal/history":                   22,
	"internal/registry":                  22,
	"internal/agent":                     25,
	"internal/gateway":                   24,
	"internal/keeper":                    38,
	"internal/program":                   20,
	"internal/index":                     27,
	"compute":                            30,
	"datastore":                          30,
	"environment":                        30,
	"model":                              30,
	"token":                              30,
	"dataset":                            35,
	"label":                              37,
	"internal/rundata":                   37,
	"run":                                40,
	"internal/mlflow":                    45,
	"internal/guard":                     46,
	"endpoint":                           50,
	"endpoint/inferencegrpc":             55,
	"experiment":                         50,
	"internal/interrupt":                 26,
	"internal/drive":                     52,
	"pipeline":                           60,
	"tensorboard":                        60,
	"mirror":                             65,
	"workspace":                          70,
	"scheduler":                          75,
	"mlflow":                             75,
	"azure":                              75,
	"internal/watch":                     80,
	"server":                             80,
	"cmd/":                               90,
	"examples/":                          90,
	"internal/cmd/":                      90,
	"internal/e2e":                       90,
	"internal/repo":                      90,
	"backend/backendtest":                rankTestHelper,
	"internal/faultproxy":                rankTestHelper,
	"internal/testenv":                   rankTestHelper,
	"internal/workspacetest":             rankTestHelper,
	"internal/instance":                  20,
	"backend/backendtest/jobs":           rankTestHelper,
}

const (
	// rankDriver is the rank of the packages below backend: above the seam and
	// the drivers that a decorator wraps, below nothing but the packages that
	// choose between them.
	rankDriver = 15
	// rankTestHelper is the rank of packages that import testing: product code
	// may not import them.
	rankTestHelper = 95
)

// sideways lists the allowed imports between packages of one rank, each with
// its reason.
var sideways = map[string]string{
	"backend/ssh -> backend/ssh/jobs":                "jobs of a machine are asked for over SSH",
	"backend/docker -> backend/ssh/jobs":             "jobs of a container that is a machine are asked for by docker exec",
	"backend/ssh/jobs -> backend/internal/layer":     "what a job changes in its container becomes an image",
	"backend/kubernetes -> backend/ssh/jobs":         "the program in a pod is asked as the one on a machine",
	"backend/cluster -> backend/internal/jobset":     "the ends of several nodes are one end, wherever they are",
	"backend/docker -> backend/internal/jobset":      "jobs of all drivers are listed and forgotten alike",
	"backend/kubernetes -> backend/internal/jobset":  "jobs of all drivers are listed and forgotten alike",
	"backend/process -> backend/internal/jobset":     "jobs of all drivers are listed and forgotten alike",
	"backend/process -> backend/internal/supervisor": "the process between a program and its job begins before all else",
	"backend/ssh/jobs -> backend/process":            "the far machine does what local compute does",
	"backend/azureblob -> backend/internal/trybody":  "requests of Azure's clients are tried again",
	"backend/keyvault -> backend/internal/trybody":   "requests of Azure's clients are tried again",
	"backend/azureblob -> backend/internal/notoken":  "errors of Azure's credentials are pages long",
	"backend/keyvault -> backend/internal/notoken":   "errors of Azure's credentials are pages long",
	"internal/core -> internal/files":                "an opened workspace holds its file store",
	"internal/runconfig -> internal/pyenv":           "a run configuration describes a Python environment",
	"internal/snapshot -> internal/files":            "a snapshot is a manifest of files",
}

// helperUsers are the programs, not linked into anybody's product, that use a
// test helper.
var helperUsers = map[string]bool{"internal/cmd/bench": true, "internal/cmd/check": true}

// rankOf finds the rank of a package.
func rankOf(dir string) (rank int, known bool) {
	if r, ok := ranks[dir]; ok {
		return r, true
	}
	if strings.HasPrefix(dir, "backend/") {
		return rankDriver, true
	}
	for i := range dir {
		if r, ok := ranks[dir[:i+1]]; ok && dir[i] == '/' {
			return r, true
		}
	}
	return 0, false
}

// layerProblems lists the packages without a rank and the imports of product
// code that don't go down.
func layerProblems(m *module) []string {
	var problems []string
	for _, p := range m.sorted() {
		if _, known := rankOf(p.dir); !known {
			problems = append(problems, fmt.Sprintf("package %q has no rank: add it to the table in internal/repo/layers_test.go", p.dir))
			continue
		}
		for _, s := range p.files {
			for _, path := range s.imports() {
				if to, ok := own(path); ok && !mayImport(p.dir, to) {
					problems = append(problems, fmt.Sprintf("%s: %q may not import %q: imports go down the ranks of internal/repo/layers_test.go", s.path, p.dir, to))
				}
			}
		}
	}
	return problems
}

func mayImport(from, to string) bool {
	high, _ := rankOf(from)
	low, known := rankOf(to)
	switch {
	case !known:
		return false
	case low == rankTestHelper:
		return helperUsers[from]
	case high == rankDriver && low != rankDriver:
		return to == "" || to == "backend"
	case high == rankTestHelper:
		return low <= rankDriver || from == "internal/workspacetest"
	}
	return low < high || high == low && sideways[from+" -> "+to] != ""
}

func TestLayers(t *testing.T) {
	t.Parallel()
	requireNone(t, layerProblems(repository(t)))
}

func TestLayersCanFail(t *testing.T) {
	t.Parallel()
	imports := func(paths ...string) string {
		text := "package x\n"
		for _, p := range paths {
			text += fmt.Sprintf("import _ %q\n", strings.TrimSuffix(modulePath+"/"+p, "/"))
		}
		return text
	}
	for name, tt := range map[string]struct {
		file, text string
		want       string
	}{
		"down":                      {"run/run.go", imports("model", "internal/core", ""), ""},
		"up":                        {"model/model.go", imports("run"), `"model" may not import "run"`},
		"sibling":                   {"model/model.go", imports("compute"), `"model" may not import "compute"`},
		"listed sibling":            {"internal/snapshot/a.go", imports("internal/files"), ""},
		"listed sibling, reversed":  {"internal/files/a.go", imports("internal/snapshot"), "may not import"},
		"no rank":                   {"util/util.go", imports(), `"util" has no rank`},
		"import without rank":       {"run/run.go", imports("util"), `"run" may not import "util"`},
		"driver on the seam":        {"backend/new/new.go", imports("", "backend"), ""},
		"driver on the layer above": {"backend/new/new.go", imports("internal/record"), "may not import"},
		"seam on a driver":          {"backend/backend.go", imports("backend/memory"), "may not import"},
		"core on a driver":          {"internal/core/core.go", imports("backend/retrying"), ""},
		"below a folder":            {"internal/cmd/x/x.go", imports("workspace"), ""},
		"product on test helper":    {"workspace/workspace.go", imports("internal/testenv"), "may not import"},
		"check on test helper":      {"internal/cmd/check/main.go", imports("internal/testenv"), ""},
		"suite on the seam":         {"backend/backendtest/a.go", imports("backend", "backend/memory"), ""},
		"suite on core":             {"backend/backendtest/a.go", imports("internal/core"), "may not import"},
		"tests are free":            {"model/model_test.go", imports("workspace", "internal/testenv"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireProblem(t, layerProblems(sketch(t, map[string]string{tt.file: tt.text})), tt.want)
		})
	}
}

// requireNone fails with one line for each problem.
func requireNone(t *testing.T, problems []string) {
	t.Helper()
	for _, p := range problems {
		t.Error(p)
	}
}

// requireProblem checks that a rule found exactly one problem, with this text
// in it, or none when the text is empty.
func requireProblem(t *testing.T, problems []string, want string) {
	t.Helper()
	if want == "" {
		require.Empty(t, problems)
		return
	}
	require.Len(t, problems, 1)
	require.Contains(t, problems[0], want)
}

package mlflow

import (
	"encoding/json"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/testenv"
)

// definitions are MLflow's own.
type definitions struct {
	Messages  map[string][]definedField `json:"messages"`
	Endpoints []struct {
		Method string `json:"method"`
		Path   string `json:"path"`
		Major  int    `json:"major"`
	} `json:"endpoints"`
}

type definedField struct {
	Name     string   `json:"name"`
	Camel    string   `json:"camel"`
	Kind     string   `json:"kind"`
	List     bool     `json:"list"`
	Required bool     `json:"required"`
	Enum     []string `json:"enum"`
}

// defined asks the installed client for its definitions, once.
func defined(t *testing.T) definitions {
	t.Helper()
	python := testenv.MLflow(t)
	data, err := dump(python)
	require.NoError(t, err)
	var d definitions
	require.NoError(t, json.Unmarshal(data, &d))
	return d
}

var (
	dumpOnce sync.Once
	dumped   []byte
	errDump  error
)

func dump(python string) ([]byte, error) {
	dumpOnce.Do(func() { dumped, errDump = exec.Command(python, "testdata/messages.py").Output() })
	return dumped, errDump
}

// messages are our structs by the names of MLflow's messages, and the fields
// that they leave out, with the reason in the list's comment.
var messages = map[string]struct {
	ours any
	left []string
}{
	// What keeps traces longer, and the workspaces of one server, are not served.
	"Experiment":                   {experimentMessage{}, []string{"effective_trace_archival_retention", "workspace"}},
	"ExperimentTag":                {keyValue{}, nil},
	"CreateExperiment":             {createExperiment{}, nil},
	"CreateExperiment.Response":    {createExperimentResponse{}, nil},
	"GetExperiment":                {getExperiment{}, nil},
	"GetExperiment.Response":       {getExperimentResponse{}, nil},
	"GetExperimentByName":          {getExperimentByName{}, nil},
	"GetExperimentByName.Response": {getExperimentResponse{}, nil},
	"SearchExperiments":            {searchExperiments{}, nil},
	"SearchExperiments.Response":   {searchExperimentsResponse{}, nil},
	"DeleteExperiment":             {deleteExperiment{}, nil},
	"RestoreExperiment":            {restoreExperiment{}, nil},
	"UpdateExperiment":             {updateExperiment{}, nil},
	"SetExperimentTag":             {setExperimentTag{}, nil},
	"DeleteExperimentTag":          {deleteExperimentTag{}, nil},
	"Run":                          {runMessage{}, nil},
	"RunInfo":                      {runInfo{}, nil},
	"RunData":                      {runData{}, nil},
	"RunInputs":                    {runInputs{}, nil},
	"RunOutputs":                   {runOutputs{}, nil},
	"RunTag":                       {keyValue{}, nil},
	"Param":                        {keyValue{}, nil},
	"Metric":                       {metric{}, nil},
	"DatasetInput":                 {datasetInput{}, nil},
	"InputTag":                     {inputTag{}, nil},
	"Dataset":                      {dataset{}, nil},
	"ModelInput":                   {modelInput{}, nil},
	"ModelOutput":                  {modelOutput{}, nil},
	"CreateRun":                    {createRun{}, nil},
	"CreateRun.Response":           {runResponse{}, nil},
	"GetRun":                       {getRun{}, nil},
	"GetRun.Response":              {runResponse{}, nil},
	"UpdateRun":                    {updateRun{}, nil},
	"UpdateRun.Response":           {updateRunResponse{}, nil},
	"DeleteRun":                    {deleteRun{}, nil},
	"RestoreRun":                   {restoreRun{}, nil},
	"SearchRuns":                   {searchRuns{}, nil},
	"SearchRuns.Response":          {searchRunsResponse{}, nil},
	"LogMetric":                    {logMetric{}, nil},
	"LogParam":                     {logParam{}, nil},
	"SetTag":                       {setTag{}, nil},
	"DeleteTag":                    {deleteTag{}, nil},
	"LogBatch":                     {logBatch{}, nil},
	"LogInputs":                    {logInputs{}, nil},
	"LogOutputs":                   {logOutputs{}, nil},
	"LogModel":                     {logModel{}, nil},
	"GetMetricHistory":             {getMetricHistory{}, nil},
	"GetMetricHistory.Response":    {metricsResponse{}, nil},
	// Its points have a run and no dataset; the rest of metric is left empty.
	"GetMetricHistoryBulkInterval": {getMetricHistoryBulkInterval{}, nil},
	"ListArtifacts":                {listArtifacts{}, nil},
	"ListArtifacts.Response":       {listArtifactsResponse{}, nil},
	"FileInfo":                     {fileInfo{}, nil},
	"artifacts.ListArtifacts":      {listProxied{}, nil},
	"artifacts.FileInfo":           {fileInfo{}, nil},
	"SearchLoggedModels":           {searchLoggedModels{}, []string{"experiment_ids", "filter", "datasets", "max_results", "order_by", "page_token"}},
}

// lenient are required fields that MLflow's server takes as empty when they are
// not there.
var lenient = []string{"LogParam.value", "SetTag.value", "SetExperimentTag.value", "InputTag.value"}

func TestMessages(t *testing.T) {
	t.Parallel()
	d := defined(t)
	kinds := map[kind]string{kindString: "string", kindInt: "int", kindFloat: "float", kindBool: "bool", kindEnum: "enum", kindMessage: "message"}
	for name, m := range messages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			theirs, ok := d.Messages[name]
			require.True(t, ok, "MLflow has no such message")
			p := planOf(reflect.TypeOf(m.ours))
			var known []string
			for _, f := range theirs {
				known = append(known, f.Name)
				i, have := p.byName[f.Name]
				require.Equal(t, !slices.Contains(m.left, f.Name), have, f.Name)
				if !have {
					continue
				}
				ours := p.fields[i]
				require.Equal(t, f.Camel, ours.camel, f.Name)
				require.Equal(t, f.List, ours.list, f.Name)
				require.Equal(t, f.Kind, kinds[ours.kind], f.Name)
				require.Equal(t, f.Enum, ours.enum, f.Name)
				if f.Required && !slices.Contains(lenient, name+"."+f.Name) {
					require.True(t, ours.required, "%s is required", f.Name)
				}
			}
			for _, f := range p.fields {
				require.Contains(t, known, f.name, "MLflow has no such field")
			}
		})
	}
}

// TestEndpoints looks whether each endpoint of MLflow is served, or is answered
// by MLflow's own error, whichever prefix it is called by.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	d := defined(t)
	s := serve(t, nil)
	served := map[string]bool{}
	for prefix, table := range tables() {
		for _, r := range table {
			served[r.method+" "+prefix+strings.NewReplacer(wildRest, "{}").Replace(r.path)] = true
		}
	}
	for _, e := range d.Endpoints {
		for _, base := range []string{"/api", "/ajax-api"} {
			prefix := base + "/2.0"
			if e.Major == 3 {
				prefix = base + "/3.0"
			}
			path := prefix + placeholders(e.Path)
			a := s.send(e.Method, strings.ReplaceAll(path, "{}", "x"), jsonType, "")
			if served[e.Method+" "+path] {
				require.NotContains(t, []string{"ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED"}, a.code(), path)
				continue
			}
			require.Contains(t, []string{"ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED"}, a.code(), "%s %s: %s", e.Method, path, a.body)
			require.Contains(t, []int{404, 501}, a.status)
		}
	}
}

// placeholders writes the parameters in a path as our tables do.
func placeholders(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if strings.ContainsAny(part, "{<") {
			parts[i] = "{}"
		}
	}
	return strings.Join(parts, "/")
}

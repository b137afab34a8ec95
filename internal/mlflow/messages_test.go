package mlflow

import (
	"encoding/json"
	"net/http"
	"os"
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
	Messages map[string][]definedField `json:"messages"`
	Routes   []struct {
		Method string `json:"method"`
		Path   string `json:"path"`
	} `json:"routes"`
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
	"SearchDatasets":               {searchDatasets{}, nil},
	"SearchDatasets.Response":      {searchDatasetsResponse{}, nil},
	"DatasetSummary":               {datasetSummary{}, nil},
	"LoggedModel":                  {loggedModel{}, nil},
	// Nothing has a creator's number or a message about its status.
	"LoggedModelInfo":                   {loggedModelInfo{}, []string{"creator_id", "status_message"}},
	"LoggedModelData":                   {loggedModelData{}, nil},
	"LoggedModelTag":                    {keyValue{}, nil},
	"LoggedModelParameter":              {keyValue{}, nil},
	"LoggedModelRegistrationInfo":       {modelRegistration{}, nil},
	"CreateLoggedModel":                 {createLoggedModel{}, nil},
	"CreateLoggedModel.Response":        {loggedModelResponse{}, nil},
	"GetLoggedModel":                    {getLoggedModel{}, nil},
	"GetLoggedModel.Response":           {loggedModelResponse{}, nil},
	"FinalizeLoggedModel":               {finalizeLoggedModel{}, nil},
	"FinalizeLoggedModel.Response":      {loggedModelResponse{}, nil},
	"DeleteLoggedModel":                 {deleteLoggedModel{}, nil},
	"LogLoggedModelParamsRequest":       {logLoggedModelParams{}, nil},
	"SetLoggedModelTags":                {setLoggedModelTags{}, nil},
	"SetLoggedModelTags.Response":       {loggedModelResponse{}, nil},
	"DeleteLoggedModelTag":              {deleteLoggedModelTag{}, nil},
	"ListLoggedModelArtifacts":          {listLoggedModelArtifacts{}, nil},
	"ListLoggedModelArtifacts.Response": {listArtifactsResponse{}, nil},
	"SearchLoggedModels":                {searchLoggedModels{}, nil},
	"SearchLoggedModels.Dataset":        {searchedDataset{}, nil},
	"SearchLoggedModels.OrderBy":        {loggedModelOrder{}, nil},
	"SearchLoggedModels.Response":       {searchLoggedModelsResponse{}, nil},
	// Deployment jobs, and what a version says of its logged model, are Databricks's.
	"registry.RegisteredModel":                     {registeredModel{}, []string{"deployment_job_id", "deployment_job_state"}},
	"registry.RegisteredModelTag":                  {keyValue{}, nil},
	"registry.RegisteredModelAlias":                {modelAlias{}, nil},
	"registry.ModelVersion":                        {modelVersion{}, []string{"model_params", "model_metrics", "deployment_job_state"}},
	"registry.ModelVersionTag":                     {keyValue{}, nil},
	"registry.CreateRegisteredModel":               {createRegisteredModel{}, []string{"deployment_job_id"}},
	"registry.CreateRegisteredModel.Response":      {registeredModelResponse{}, nil},
	"registry.GetRegisteredModel":                  {getRegisteredModel{}, nil},
	"registry.GetRegisteredModel.Response":         {registeredModelResponse{}, nil},
	"registry.RenameRegisteredModel":               {renameRegisteredModel{}, nil},
	"registry.UpdateRegisteredModel":               {updateRegisteredModel{}, []string{"deployment_job_id"}},
	"registry.DeleteRegisteredModel":               {deleteRegisteredModel{}, nil},
	"registry.SearchRegisteredModels":              {searchRegistered{}, nil},
	"registry.SearchRegisteredModels.Response":     {searchRegisteredModelsResponse{}, nil},
	"registry.GetLatestVersions":                   {getLatestVersions{}, nil},
	"registry.GetLatestVersions.Response":          {getLatestVersionsResponse{}, nil},
	"registry.SetRegisteredModelTag":               {setRegisteredModelTag{}, nil},
	"registry.DeleteRegisteredModelTag":            {deleteRegisteredModelTag{}, nil},
	"registry.SetRegisteredModelAlias":             {setModelAlias{}, nil},
	"registry.DeleteRegisteredModelAlias":          {aliasRef{}, nil},
	"registry.GetModelVersionByAlias":              {aliasRef{}, nil},
	"registry.GetModelVersionByAlias.Response":     {modelVersionResponse{}, nil},
	"registry.CreateModelVersion":                  {createModelVersion{}, nil},
	"registry.CreateModelVersion.Response":         {modelVersionResponse{}, nil},
	"registry.GetModelVersion":                     {versionRef{}, nil},
	"artifacts.CreateMultipartUpload":              {createUpload{}, nil},
	"artifacts.CompleteMultipartUpload":            {completeUpload{}, nil},
	"artifacts.AbortMultipartUpload":               {abortUpload{}, nil},
	"artifacts.MultipartUploadPart":                {uploadedPart{}, nil},
	"registry.UpdateModelVersion":                  {updateModelVersion{}, nil},
	"registry.TransitionModelVersionStage":         {transitionStage{}, nil},
	"registry.DeleteModelVersion":                  {versionRef{}, nil},
	"registry.GetModelVersionDownloadUri":          {versionRef{}, nil},
	"registry.GetModelVersionDownloadUri.Response": {downloadURIResponse{}, nil},
	"registry.SearchModelVersions":                 {searchRegistered{}, nil},
	"registry.SearchModelVersions.Response":        {searchModelVersionsResponse{}, nil},
	"registry.SetModelVersionTag":                  {setModelVersionTag{}, nil},
	"registry.DeleteModelVersionTag":               {deleteModelVersionTag{}, nil},
}

// lenient are required fields that MLflow's server takes as empty when they are
// not there, or that are in the path of the request.
var lenient = []string{"LogParam.value", "SetTag.value", "SetExperimentTag.value", "InputTag.value",
	"registry.SetRegisteredModelTag.value", "registry.SetModelVersionTag.value", "registry.TransitionModelVersionStage.archive_existing_versions",
	"GetLoggedModel.model_id", "FinalizeLoggedModel.model_id", "DeleteLoggedModel.model_id", "LogLoggedModelParamsRequest.model_id",
	"SetLoggedModelTags.model_id", "DeleteLoggedModelTag.model_id", "DeleteLoggedModelTag.tag_key", "ListLoggedModelArtifacts.model_id",
	// Of what we answer, all is there.
	"DatasetSummary.experiment_id", "DatasetSummary.name", "DatasetSummary.digest"}

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

// TestEndpoints sends a request to each route of MLflow's server: it is served, or
// answered by MLflow's own error and named in the documents, or is a page for
// people.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	d := defined(t)
	s := serve(t, nil)
	documents, err := os.ReadFile("../../docs/mlflow.md")
	require.NoError(t, err)
	served := 0
	for _, r := range d.Routes {
		path := strings.ReplaceAll(placeholders(r.Path), "{}", "x")
		a := s.send(r.Method, path, jsonType, "")
		_, _, err := s.handler.routes.find(r.Method, path)
		switch {
		case err == nil:
			served++
			require.NotContains(t, []string{"ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED"}, a.code(), path)
		case path == "/" || strings.HasPrefix(path, "/static-files/") || strings.HasPrefix(path, "/build/"):
			require.Equal(t, http.StatusNotFound, a.status)
		default:
			require.Equal(t, http.StatusNotImplemented, a.status, "%s %s: %s", r.Method, path, a.body)
			require.Equal(t, "NOT_IMPLEMENTED", a.code())
			require.Contains(t, string(documents), "`"+unservedPart(path)+"`", "the documents name what is not served: %s", path)
		}
	}
	require.Greater(t, served, 130)
	require.Greater(t, len(d.Routes), 400)
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

package mlflow

type loggedModel struct {
	Info loggedModelInfo `json:"info"`
	Data loggedModelData `json:"data"`
}

type loggedModelInfo struct {
	ModelID                string              `json:"model_id"`
	ExperimentID           string              `json:"experiment_id"`
	Name                   string              `json:"name"`
	CreationTimestampMS    int64               `json:"creation_timestamp_ms"`
	LastUpdatedTimestampMS int64               `json:"last_updated_timestamp_ms"`
	ArtifactURI            string              `json:"artifact_uri"`
	Status                 loggedModelStatus   `json:"status"`
	ModelType              string              `json:"model_type,omitempty"`
	SourceRunID            string              `json:"source_run_id,omitempty"`
	Tags                   []keyValue          `json:"tags,omitempty"`
	Registrations          []modelRegistration `json:"registrations,omitempty"`
}

type loggedModelData struct {
	Params  []keyValue `json:"params,omitempty"`
	Metrics []metric   `json:"metrics,omitempty"`
}

// modelRegistration is a version that was registered from a logged model.
type modelRegistration struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// loggedModelStatus is MLflow's status of a logged model.
type loggedModelStatus string

const (
	loggedUnspecified  loggedModelStatus = "LOGGED_MODEL_STATUS_UNSPECIFIED"
	loggedPending      loggedModelStatus = "LOGGED_MODEL_PENDING"
	loggedReady        loggedModelStatus = "LOGGED_MODEL_READY"
	loggedUploadFailed loggedModelStatus = "LOGGED_MODEL_UPLOAD_FAILED"
)

func (loggedModelStatus) names() []string {
	return []string{string(loggedUnspecified), string(loggedPending), string(loggedReady), string(loggedUploadFailed)}
}

func (*createLoggedModel) maxBody() int64 { return maxLogBody }

func (*logLoggedModelParams) maxBody() int64 { return maxLogBody }

func (*setLoggedModelTags) maxBody() int64 { return maxLogBody }

type createLoggedModel struct {
	ExperimentID string     `json:"experiment_id" need:"true"`
	Name         string     `json:"name"`
	ModelType    string     `json:"model_type"`
	SourceRunID  string     `json:"source_run_id"`
	Params       []keyValue `json:"params"`
	Tags         []keyValue `json:"tags"`
}

type loggedModelResponse struct {
	Model loggedModel `json:"model"`
}

// loggedModelRef names a logged model, by its place in the path of the request.
type loggedModelRef struct {
	ModelID string `json:"model_id"`
}

func (r *loggedModelRef) setPath(params []string) { r.ModelID = params[0] }

type getLoggedModel struct{ loggedModelRef }

type deleteLoggedModel struct{ loggedModelRef }

type finalizeLoggedModel struct {
	loggedModelRef
	Status loggedModelStatus `json:"status" need:"true"`
}

type logLoggedModelParams struct {
	loggedModelRef
	Params []keyValue `json:"params"`
}

type setLoggedModelTags struct {
	loggedModelRef
	Tags []keyValue `json:"tags"`
}

type deleteLoggedModelTag struct {
	loggedModelRef
	TagKey string `json:"tag_key"`
}

func (r *deleteLoggedModelTag) setPath(params []string) { r.ModelID, r.TagKey = params[0], params[1] }

type listLoggedModelArtifacts struct {
	loggedModelRef
	ArtifactDirectoryPath string `json:"artifact_directory_path"`
	PageToken             string `json:"page_token"`
}

type searchLoggedModels struct {
	ExperimentIDs []string           `json:"experiment_ids"`
	Filter        string             `json:"filter"`
	Datasets      []searchedDataset  `json:"datasets"`
	MaxResults    *int32             `json:"max_results"`
	OrderBy       []loggedModelOrder `json:"order_by"`
	PageToken     string             `json:"page_token"`
}

// searchedDataset restricts the metrics that a search looks at.
type searchedDataset struct {
	DatasetName   string `json:"dataset_name" need:"true"`
	DatasetDigest string `json:"dataset_digest"`
}

type loggedModelOrder struct {
	FieldName     string `json:"field_name" need:"true"`
	Ascending     *bool  `json:"ascending"`
	DatasetName   string `json:"dataset_name"`
	DatasetDigest string `json:"dataset_digest"`
}

type searchDatasets struct {
	ExperimentIDs []string `json:"experiment_ids"`
}

type searchDatasetsResponse struct {
	DatasetSummaries []datasetSummary `json:"dataset_summaries,omitempty"`
}

type datasetSummary struct {
	ExperimentID string `json:"experiment_id"`
	Name         string `json:"name"`
	Digest       string `json:"digest"`
	Context      string `json:"context,omitempty"`
}

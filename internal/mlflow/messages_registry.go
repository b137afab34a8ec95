package mlflow

type registeredModel struct {
	Name                 string         `json:"name"`
	CreationTimestamp    int64          `json:"creation_timestamp"`
	LastUpdatedTimestamp int64          `json:"last_updated_timestamp"`
	UserID               string         `json:"user_id,omitempty"`
	Description          string         `json:"description,omitempty"`
	LatestVersions       []modelVersion `json:"latest_versions,omitempty"`
	Tags                 []keyValue     `json:"tags,omitempty"`
	Aliases              []modelAlias   `json:"aliases,omitempty"`
}

type modelAlias struct {
	Alias   string `json:"alias"`
	Version string `json:"version"`
}

type modelVersion struct {
	Name                 string        `json:"name"`
	Version              string        `json:"version"`
	CreationTimestamp    int64         `json:"creation_timestamp"`
	LastUpdatedTimestamp int64         `json:"last_updated_timestamp"`
	UserID               string        `json:"user_id,omitempty"`
	CurrentStage         string        `json:"current_stage"`
	Description          string        `json:"description,omitempty"`
	Source               string        `json:"source"`
	RunID                string        `json:"run_id,omitempty"`
	Status               versionStatus `json:"status"`
	StatusMessage        string        `json:"status_message,omitempty"`
	Tags                 []keyValue    `json:"tags,omitempty"`
	RunLink              string        `json:"run_link,omitempty"`
	Aliases              []string      `json:"aliases,omitempty"`
	ModelID              string        `json:"model_id,omitempty"`
}

// versionStatus is MLflow's status of a version. Here all are READY: a version
// is there when its files are.
type versionStatus string

const versionReady versionStatus = "READY"

func (versionStatus) names() []string {
	return []string{"PENDING_REGISTRATION", "FAILED_REGISTRATION", string(versionReady)}
}

// modelName names a registered model.
type modelName struct {
	Name string `json:"name" need:"true"`
}

// versionRef names a version.
type versionRef struct {
	modelName
	Version string `json:"version" need:"true"`
}

type createRegisteredModel struct {
	modelName
	Tags        []keyValue `json:"tags"`
	Description string     `json:"description"`
}

type registeredModelResponse struct {
	RegisteredModel registeredModel `json:"registered_model"`
}

type getRegisteredModel struct{ modelName }

type renameRegisteredModel struct {
	modelName
	NewName string `json:"new_name" need:"true"`
}

type updateRegisteredModel struct {
	modelName
	Description string `json:"description"`
}

type deleteRegisteredModel struct{ modelName }

type searchRegistered struct {
	Filter     string   `json:"filter"`
	MaxResults *int64   `json:"max_results"`
	OrderBy    []string `json:"order_by"`
	PageToken  string   `json:"page_token"`
}

type searchRegisteredModelsResponse struct {
	RegisteredModels []registeredModel `json:"registered_models,omitempty"`
	NextPageToken    string            `json:"next_page_token,omitempty"`
}

type getLatestVersions struct {
	modelName
	Stages []string `json:"stages"`
}

type getLatestVersionsResponse struct {
	ModelVersions []modelVersion `json:"model_versions,omitempty"`
}

type setRegisteredModelTag struct {
	modelName
	keyNeeded
	Value string `json:"value"`
}

type deleteRegisteredModelTag struct {
	modelName
	keyNeeded
}

type setModelAlias struct {
	modelName
	Alias   string `json:"alias" need:"true"`
	Version string `json:"version" need:"true"`
}

// aliasRef names an alias.
type aliasRef struct {
	modelName
	Alias string `json:"alias" need:"true"`
}

type createModelVersion struct {
	modelName
	Source      string     `json:"source" need:"true"`
	RunID       string     `json:"run_id"`
	Tags        []keyValue `json:"tags"`
	RunLink     string     `json:"run_link"`
	Description string     `json:"description"`
	ModelID     string     `json:"model_id"`
}

type modelVersionResponse struct {
	ModelVersion modelVersion `json:"model_version"`
}

type updateModelVersion struct {
	versionRef
	Description string `json:"description"`
}

type transitionStage struct {
	versionRef
	Stage                   string `json:"stage" need:"true"`
	ArchiveExistingVersions bool   `json:"archive_existing_versions"`
}

type downloadURIResponse struct {
	ArtifactURI string `json:"artifact_uri"`
}

type setModelVersionTag struct {
	versionRef
	keyNeeded
	Value string `json:"value"`
}

type deleteModelVersionTag struct {
	versionRef
	keyNeeded
}

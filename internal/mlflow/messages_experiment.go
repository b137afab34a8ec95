package mlflow

type experimentMessage struct {
	ExperimentID     string     `json:"experiment_id"`
	Name             string     `json:"name"`
	ArtifactLocation string     `json:"artifact_location"`
	LifecycleStage   string     `json:"lifecycle_stage"`
	LastUpdateTime   int64      `json:"last_update_time"`
	CreationTime     int64      `json:"creation_time"`
	Tags             []keyValue `json:"tags,omitempty"`
}

type createExperiment struct {
	Name             string     `json:"name" need:"true"`
	ArtifactLocation string     `json:"artifact_location"`
	Tags             []keyValue `json:"tags"`
}

type createExperimentResponse struct {
	ExperimentID string `json:"experiment_id"`
}

type getExperiment struct {
	ExperimentID string `json:"experiment_id" need:"true"`
}

type getExperimentResponse struct {
	Experiment experimentMessage `json:"experiment"`
}

type getExperimentByName struct {
	ExperimentName string `json:"experiment_name" need:"true"`
}

type searchExperiments struct {
	MaxResults *int64   `json:"max_results"`
	PageToken  string   `json:"page_token"`
	Filter     string   `json:"filter"`
	OrderBy    []string `json:"order_by"`
	ViewType   viewType `json:"view_type"`
}

type deleteExperiment struct {
	ExperimentID string `json:"experiment_id" need:"true"`
}

type restoreExperiment struct {
	ExperimentID string `json:"experiment_id" need:"true"`
}

type updateExperiment struct {
	ExperimentID string `json:"experiment_id" need:"true"`
	NewName      string `json:"new_name" need:"true"`
}

type setExperimentTag struct {
	ExperimentID string `json:"experiment_id" need:"true"`
	keyNeeded
	Value string `json:"value"`
}

type deleteExperimentTag struct {
	ExperimentID string `json:"experiment_id" need:"true"`
	keyNeeded
}

type keyNeeded struct {
	Key string `json:"key" need:"true"`
}

package mlflow

type runMessage struct {
	Info    runInfo    `json:"info"`
	Data    runData    `json:"data"`
	Inputs  runInputs  `json:"inputs"`
	Outputs runOutputs `json:"outputs"`
}

type runInfo struct {
	RunID          string    `json:"run_id"`
	RunUUID        string    `json:"run_uuid"`
	RunName        string    `json:"run_name"`
	ExperimentID   string    `json:"experiment_id"`
	UserID         string    `json:"user_id"`
	Status         runStatus `json:"status"`
	StartTime      int64     `json:"start_time"`
	EndTime        int64     `json:"end_time,omitempty"`
	ArtifactURI    string    `json:"artifact_uri"`
	LifecycleStage string    `json:"lifecycle_stage"`
}

type runData struct {
	Metrics []metric   `json:"metrics,omitempty"`
	Params  []keyValue `json:"params,omitempty"`
	Tags    []keyValue `json:"tags,omitempty"`
}

type runInputs struct {
	DatasetInputs []datasetInput `json:"dataset_inputs,omitempty"`
	ModelInputs   []modelInput   `json:"model_inputs,omitempty"`
}

type runOutputs struct {
	ModelOutputs []modelOutput `json:"model_outputs,omitempty"`
}

type metric struct {
	Key           string `json:"key"`
	Value         double `json:"value"`
	Timestamp     int64  `json:"timestamp"`
	Step          int64  `json:"step"`
	DatasetName   string `json:"dataset_name,omitempty"`
	DatasetDigest string `json:"dataset_digest,omitempty"`
	ModelID       string `json:"model_id,omitempty"`
	RunID         string `json:"run_id,omitempty"`
}

type datasetInput struct {
	Tags    []inputTag `json:"tags,omitempty"`
	Dataset dataset    `json:"dataset" need:"true"`
}

type inputTag struct {
	Key   string  `json:"key" need:"true"`
	Value *string `json:"value"`
}

type dataset struct {
	Name       string `json:"name" need:"true"`
	Digest     string `json:"digest" need:"true"`
	SourceType string `json:"source_type" need:"true"`
	Source     string `json:"source" need:"true"`
	Schema     string `json:"schema,omitempty"`
	Profile    string `json:"profile,omitempty"`
}

type modelInput struct {
	ModelID string `json:"model_id" need:"true"`
}

type modelOutput struct {
	ModelID string `json:"model_id" need:"true"`
	Step    int64  `json:"step" need:"true"`
}

// runRef names a run. Clients send both fields with one value; old ones only
// the second.
type runRef struct {
	RunID   string `json:"run_id"`
	RunUUID string `json:"run_uuid"`
}

// id gives the run's ID.
func (r runRef) id() (string, error) {
	switch {
	case r.RunID != "":
		return r.RunID, nil
	case r.RunUUID != "":
		return r.RunUUID, nil
	}
	return "", missing("run_id")
}

type createRun struct {
	ExperimentID string     `json:"experiment_id"`
	UserID       string     `json:"user_id"`
	RunName      string     `json:"run_name"`
	StartTime    int64      `json:"start_time"`
	Tags         []keyValue `json:"tags"`
}

type runResponse struct {
	Run runMessage `json:"run"`
}

type getRun struct{ runRef }

type updateRun struct {
	runRef
	Status  runStatus `json:"status"`
	EndTime *int64    `json:"end_time"`
	RunName string    `json:"run_name"`
}

type updateRunResponse struct {
	RunInfo runInfo `json:"run_info"`
}

type deleteRun struct {
	RunID string `json:"run_id" need:"true"`
}

type restoreRun struct {
	RunID string `json:"run_id" need:"true"`
}

type searchRuns struct {
	ExperimentIDs []string `json:"experiment_ids"`
	Filter        string   `json:"filter"`
	RunViewType   viewType `json:"run_view_type"`
	MaxResults    *int32   `json:"max_results"`
	OrderBy       []string `json:"order_by"`
	PageToken     string   `json:"page_token"`
}

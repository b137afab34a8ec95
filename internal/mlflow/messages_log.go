package mlflow

type logMetric struct {
	runRef
	metricFields
}

// metricFields are one logged point.
type metricFields struct {
	Key           string  `json:"key" need:"true"`
	Value         float64 `json:"value" need:"true"`
	Timestamp     int64   `json:"timestamp" need:"true"`
	Step          int64   `json:"step"`
	ModelID       string  `json:"model_id"`
	DatasetName   string  `json:"dataset_name"`
	DatasetDigest string  `json:"dataset_digest"`
}

type logParam struct {
	runRef
	keyNeeded
	Value string `json:"value"`
}

type setTag struct {
	runRef
	keyNeeded
	Value string `json:"value"`
}

type deleteTag struct {
	RunID string `json:"run_id" need:"true"`
	keyNeeded
}

type logBatch struct {
	RunID   string         `json:"run_id" need:"true"`
	Metrics []metricFields `json:"metrics"`
	Params  []labelFields  `json:"params"`
	Tags    []labelFields  `json:"tags"`
}

// labelFields are one logged parameter or tag.
type labelFields struct {
	keyNeeded
	Value string `json:"value"`
}

type logInputs struct {
	RunID    string         `json:"run_id" need:"true"`
	Datasets []datasetInput `json:"datasets"`
	Models   []modelInput   `json:"models"`
}

type logOutputs struct {
	RunID  string        `json:"run_id" need:"true"`
	Models []modelOutput `json:"models" need:"true"`
}

// maxLogBody lets the greatest batch pass: parameters and tags of the greatest length
// in a script of which each character is an escape of six bytes, as the Python client
// sends it.
const maxLogBody = 16 << 20

func (*logBatch) maxBody() int64 { return maxLogBody }

type logModel struct {
	RunID     string `json:"run_id" need:"true"`
	ModelJSON string `json:"model_json" need:"true"`
}

type getMetricHistory struct {
	runRef
	MetricKey  string `json:"metric_key" need:"true"`
	PageToken  string `json:"page_token"`
	MaxResults *int32 `json:"max_results"`
}

type getMetricHistoryBulkInterval struct {
	RunIDs     []string `json:"run_ids" need:"true"`
	MetricKey  string   `json:"metric_key" need:"true"`
	StartStep  *int32   `json:"start_step"`
	EndStep    *int32   `json:"end_step"`
	MaxResults *int32   `json:"max_results"`
}

type getMetricHistoryBulk struct {
	RunID      []string `json:"run_id" need:"true"`
	MetricKey  string   `json:"metric_key" need:"true"`
	MaxResults *int32   `json:"max_results"`
}

type metricsResponse struct {
	Metrics       []metric `json:"metrics,omitempty"`
	NextPageToken string   `json:"next_page_token,omitempty"`
}

type listArtifacts struct {
	runRef
	Path      string `json:"path"`
	PageToken string `json:"page_token"`
}

type listArtifactsResponse struct {
	RootURI       string     `json:"root_uri,omitempty"`
	Files         []fileInfo `json:"files,omitempty"`
	NextPageToken string     `json:"next_page_token,omitempty"`
}

type listProxied struct {
	Path string `json:"path"`
}

type fileInfo struct {
	Path     string `json:"path"`
	IsDir    bool   `json:"is_dir"`
	FileSize *int64 `json:"file_size,omitempty"`
}

package mlflow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// long is an int64 that servers write as a number or as a string.
type long int64

// UnmarshalJSON implements json.Unmarshaler.
func (l *long) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	n, err := strconv.ParseInt(string(bytes.Trim(data, `"`)), 10, 64)
	*l = long(n)
	return err
}

// time gives the time that it is in milliseconds since 1970; 0 is none.
func (l long) time() time.Time { return moment(int64(l)) }

// moment gives a time by its milliseconds since 1970; 0 is none.
func moment(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}

// double is a float64 that may be none of JSON's numbers.
type double float64

// UnmarshalJSON implements json.Unmarshaler.
func (d *double) UnmarshalJSON(data []byte) error {
	text := string(bytes.Trim(data, `"`))
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(f, 0) { // "1e999" is infinite, too
		return fmt.Errorf("no number: %.40q", text)
	}
	*d = double(f)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (d double) MarshalJSON() ([]byte, error) {
	switch f := float64(d); {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Infinity"`), nil
	default:
		return json.Marshal(f)
	}
}

var nan = math.NaN()

// value gives the number that was logged. MLflow's databases keep the greatest
// number there is in the place of infinity.
func (d double) value() float64 {
	switch f := float64(d); f {
	case math.MaxFloat64:
		return math.Inf(1)
	case -math.MaxFloat64:
		return math.Inf(-1)
	default:
		return f
	}
}

// labels are tags or parameters, a list of pairs in messages.
type labels map[string]string

type keyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *labels) UnmarshalJSON(data []byte) error {
	var list []keyValue
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	*l = make(labels, len(list))
	for _, label := range list {
		(*l)[label.Key] = label.Value
	}
	return nil
}

// experimentMessage is an experiment in a message.
type experimentMessage struct {
	ID        string `json:"experiment_id"`
	Name      string `json:"name"`
	Location  string `json:"artifact_location"`
	Lifecycle string `json:"lifecycle_stage"`
	Created   long   `json:"creation_time"`
	Updated   long   `json:"last_update_time"`
	Tags      labels `json:"tags"`
}

func (m experimentMessage) experiment() experiment {
	return experiment{id: m.ID, name: m.Name, location: m.Location, deleted: m.Lifecycle == lifecycleDeleted,
		created: m.Created.time(), updated: m.Updated.time(), tags: m.Tags}
}

// lifecycleDeleted is MLflow's word for what is deleted.
const lifecycleDeleted = "deleted"

// metricMessage is one value of a metric in a message.
type metricMessage struct {
	Key    string `json:"key"`
	Value  double `json:"value"`
	Millis long   `json:"timestamp"`
	Step   long   `json:"step"`
}

func (m metricMessage) point() point { return point{int64(m.Step), int64(m.Millis), m.Value.value()} }

// runMessage is a run in a message.
type runMessage struct {
	Info struct {
		ID         string `json:"run_id"`
		Name       string `json:"run_name"`
		Experiment string `json:"experiment_id"`
		User       string `json:"user_id"`
		Status     string `json:"status"`
		Started    long   `json:"start_time"`
		Ended      long   `json:"end_time"`
		Artifacts  string `json:"artifact_uri"`
		Lifecycle  string `json:"lifecycle_stage"`
	} `json:"info"`
	Data struct {
		Metrics []metricMessage `json:"metrics"`
		Params  labels          `json:"params"`
		Tags    labels          `json:"tags"`
	} `json:"data"`
	Inputs struct {
		Datasets []datasetMessage `json:"dataset_inputs"`
		Models   []struct {
			ID string `json:"model_id"`
		} `json:"model_inputs"`
	} `json:"inputs"`
	Outputs struct {
		Models []struct {
			ID   string `json:"model_id"`
			Step long   `json:"step"`
		} `json:"model_outputs"`
	} `json:"outputs"`
}

// datasetMessage is a dataset that a run has used in a message.
type datasetMessage struct {
	Tags    labels `json:"tags"`
	Dataset struct {
		Name       string `json:"name"`
		Digest     string `json:"digest"`
		SourceType string `json:"source_type"`
		Source     string `json:"source"`
		Schema     string `json:"schema,omitempty"`
		Profile    string `json:"profile,omitempty"`
	} `json:"dataset"`
}

func (m runMessage) run() run {
	r := run{id: m.Info.ID, experiment: m.Info.Experiment, name: m.Info.Name, user: m.Info.User, status: m.Info.Status,
		started: m.Info.Started.time(), ended: m.Info.Ended.time(), deleted: m.Info.Lifecycle == lifecycleDeleted, artifacts: m.Info.Artifacts,
		params: m.Data.Params, tags: m.Data.Tags, metrics: make(map[string]string, len(m.Data.Metrics))}
	for _, last := range m.Data.Metrics {
		r.metrics[last.Key] = fmt.Sprintf("%v %d %d", float64(last.Value), last.Step, last.Millis)
	}
	for _, d := range m.Inputs.Datasets {
		r.datasets = append(r.datasets, dataset{name: d.Dataset.Name, digest: d.Dataset.Digest, sourceType: d.Dataset.SourceType,
			source: d.Dataset.Source, schema: d.Dataset.Schema, profile: d.Dataset.Profile, tags: d.Tags})
	}
	for _, in := range m.Inputs.Models {
		r.modelsIn = append(r.modelsIn, in.ID)
	}
	for _, out := range m.Outputs.Models {
		r.modelsOut = append(r.modelsOut, modelOutput{out.ID, int64(out.Step)})
	}
	return r
}

// loggedModelMessage is a logged model in a message.
type loggedModelMessage struct {
	Info struct {
		ID         string `json:"model_id"`
		Experiment string `json:"experiment_id"`
		Name       string `json:"name"`
		Kind       string `json:"model_type"`
		RunID      string `json:"source_run_id"`
		Status     string `json:"status"`
		Created    long   `json:"creation_timestamp_ms"`
		Artifacts  string `json:"artifact_uri"`
		Tags       labels `json:"tags"`
	} `json:"info"`
	Data struct {
		Params  labels `json:"params"`
		Metrics []struct {
			metricMessage
			RunID   string `json:"run_id"`
			Dataset string `json:"dataset_name"`
			Digest  string `json:"dataset_digest"`
		} `json:"metrics"`
	} `json:"data"`
}

func (m loggedModelMessage) loggedModel() loggedModel {
	l := loggedModel{id: m.Info.ID, experiment: m.Info.Experiment, name: m.Info.Name, kind: m.Info.Kind, runID: m.Info.RunID, status: m.Info.Status,
		created: m.Info.Created.time(), artifacts: m.Info.Artifacts, params: m.Data.Params, tags: m.Info.Tags}
	for _, p := range m.Data.Metrics {
		l.metrics = append(l.metrics, modelMetric{p.point(), p.Key, p.RunID, p.Dataset, p.Digest})
	}
	return l
}

// registeredModelMessage is a registered model in a message.
type registeredModelMessage struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Created     long   `json:"creation_timestamp"`
	Tags        labels `json:"tags"`
	Aliases     []struct {
		Alias   string `json:"alias"`
		Version long   `json:"version"`
	} `json:"aliases"`
}

func (m registeredModelMessage) model() registeredModel {
	r := registeredModel{name: m.Name, description: m.Description, created: m.Created.time(), tags: m.Tags, aliases: map[string]int{}}
	for _, a := range m.Aliases {
		r.aliases[a.Alias] = int(a.Version)
	}
	return r
}

// versionMessage is a version of a registered model in a message.
type versionMessage struct {
	Version     long   `json:"version"`
	Description string `json:"description"`
	Stage       string `json:"current_stage"`
	Source      string `json:"source"`
	RunID       string `json:"run_id"`
	RunLink     string `json:"run_link"`
	Created     long   `json:"creation_timestamp"`
	Tags        labels `json:"tags"`
}

func (m versionMessage) version() modelVersion {
	return modelVersion{number: int(m.Version), description: m.Description, stage: m.Stage, source: m.Source, runID: m.RunID, runLink: m.RunLink,
		created: m.Created.time(), tags: m.Tags}
}

package mlflow

import (
	"math"
	"strconv"
)

// double is a float64 that is written as protobuf's JSON mapping has it.
type double float64

// MarshalJSON implements json.Marshaler.
func (d double) MarshalJSON() ([]byte, error) { return appendDouble(nil, float64(d)), nil }

// appendDouble appends the number, or a string for what JSON has no number for.
func appendDouble(to []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(to, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(to, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(to, `"-Infinity"`...)
	case f == math.Trunc(f) && math.Abs(f) < 1e15:
		return strconv.AppendFloat(to, f, 'f', 1, 64) // "1.0": Python reads a float
	}
	if size := math.Abs(f); size < 1e-6 || size >= 1e21 {
		return strconv.AppendFloat(to, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(to, f, 'f', -1, 64)
}

// viewType says which of the active and the deleted are shown.
type viewType string

const (
	activeOnly  viewType = "ACTIVE_ONLY"
	deletedOnly viewType = "DELETED_ONLY"
	viewAll     viewType = "ALL"
)

func (viewType) names() []string {
	return []string{string(activeOnly), string(deletedOnly), string(viewAll)}
}

// runStatus is MLflow's status of a run.
type runStatus string

const (
	statusRunning   runStatus = "RUNNING"
	statusScheduled runStatus = "SCHEDULED"
	statusFinished  runStatus = "FINISHED"
	statusFailed    runStatus = "FAILED"
	statusKilled    runStatus = "KILLED"
)

func (runStatus) names() []string {
	return []string{string(statusRunning), string(statusScheduled), string(statusFinished), string(statusFailed), string(statusKilled)}
}

// lifecycle is MLflow's word for what is deleted and what is not.
func lifecycle(deleted bool) string {
	if deleted {
		return "deleted"
	}
	return "active"
}

// keyValue is a tag or a parameter.
type keyValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

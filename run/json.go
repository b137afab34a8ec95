package run

import (
	"encoding/json"
	"math"
	"time"
)

// MarshalJSON writes the metric with NaN and infinite numbers, for which JSON
// has no form, as the texts "NaN", "Infinity" and "-Infinity", and with a table
// as an object of lists, one per column.
func (m Metric) MarshalJSON() ([]byte, error) {
	value := finite(m.Value)
	if columns, ok := m.Value.([]Column); ok {
		byName := map[string]any{}
		for _, c := range columns {
			byName[c.Name] = finite(c.Values)
		}
		value = byName
	}
	return json.Marshal(struct {
		Name  string     `json:"name"`
		Kind  MetricKind `json:"kind"`
		Step  int64      `json:"step"`
		Time  time.Time  `json:"time"`
		Value any        `json:"value"`
	}{m.Name, m.Kind, m.Step, m.Time, value})
}

// MarshalJSON writes the summary by the rules of Metric.MarshalJSON; Min, Max
// and Mean are left out when there is no number.
func (s Summary) MarshalJSON() ([]byte, error) {
	out := map[string]any{"name": s.Name, "kind": s.Kind, "count": s.Count, "first": s.First, "last": s.Last,
		"numbers": s.Numbers, "nans": s.NaNs}
	if s.Numbers > 0 {
		out["min"], out["max"] = finite(s.Min), finite(s.Max)
		out["mean"] = finite(s.Mean)
	}
	return json.Marshal(out)
}

// finite makes texts of the numbers that JSON can't write, also inside lists.
func finite(value any) any {
	switch v := value.(type) {
	case float64:
		switch {
		case math.IsNaN(v):
			return "NaN"
		case math.IsInf(v, 1):
			return "Infinity"
		case math.IsInf(v, -1):
			return "-Infinity"
		}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = finite(v[i])
		}
		return out
	}
	return value
}

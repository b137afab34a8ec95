package mlflow

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzPoint reads lines of file stores: what is read and written again is the
// same.
func FuzzPoint(f *testing.F) {
	for _, line := range []string{"1600000001000 0.5 3\n", "1600000001000 nan 3 iris d1\n", "-1 -inf -9\n", "1 1e999\n", "x y z\n", "\n", "1\n"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		p, err := parsePoint(line)
		if err != nil {
			return
		}
		data, err := json.Marshal(valueMessage{Value: double(p.value), Millis: p.millis, Step: p.step})
		require.NoError(t, err)
		var back metricMessage
		require.NoError(t, json.Unmarshal(data, &back))
		want := p
		want.value = double(p.value).value()
		require.Equal(t, want.key(), back.point().key())
	})
}

// FuzzMessages reads answers of servers: whatever they are, it ends, and what was
// read can be told from others.
func FuzzMessages(f *testing.F) {
	for _, answer := range []string{
		`{"run": {"info": {"run_id": "x", "start_time": "12", "end_time": 13}, "data": {"metrics": [{"key": "m", "value": "NaN", "step": "1"}], "tags": [{"key": "a"}]},
			"inputs": {"dataset_inputs": [{"tags": [], "dataset": {"name": "d"}}]}, "outputs": {"model_outputs": [{"model_id": "m", "step": 3}]}}}`,
		`{"experiment": {"experiment_id": "1", "tags": null}, "model": {"data": {"metrics": [{"value": -Infinity}]}}, "files": [{"path": "a", "file_size": "1"}]}`,
		`{"registered_model": {"aliases": [{"alias": "a", "version": "1"}]}, "model_version": {"version": 1}}`, `[]`, `null`, `{"run": {"info": {"start_time": 1e9}}}`,
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		var m struct {
			Run        runMessage             `json:"run"`
			Experiment experimentMessage      `json:"experiment"`
			Model      loggedModelMessage     `json:"model"`
			Registered registeredModelMessage `json:"registered_model"`
			Version    versionMessage         `json:"model_version"`
			artifactList
		}
		if err := json.Unmarshal(answer, &m); err != nil {
			return
		}
		m.Experiment.experiment()
		m.Model.loggedModel()
		m.Registered.model()
		m.Version.version()
		require.Equal(t, m.Run.run().state(), m.Run.run().state())
	})
}

// The greatest number stands for infinity in MLflow's databases.
func TestInfinityComesBack(t *testing.T) {
	t.Parallel()
	require.True(t, math.IsInf(double(math.MaxFloat64).value(), 1))
	require.True(t, math.IsInf(double(-math.MaxFloat64).value(), -1))
	require.InDelta(t, 1e308, double(1e308).value(), 0)
}

func TestTheLatestComesLast(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ steps, want []int64 }{
		"none":        {nil, nil},
		"growing":     {[]int64{1, 2, 3}, []int64{1, 2, 3}},
		"falling":     {[]int64{3, 2, 1}, []int64{2, 1, 3}},
		"in between":  {[]int64{1, 5, 2, 3}, []int64{1, 2, 3, 5}},
		"several":     {[]int64{1, 5, 2, 7, 3}, []int64{1, 2, 5, 3, 7}},
		"equal steps": {[]int64{4, 4, 4}, []int64{4, 4, 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []int64
			for p, err := range latestLast(func(yield func(point, error) bool) {
				for _, step := range c.steps {
					if !yield(point{step: step}, nil) {
						return
					}
				}
			}) {
				require.NoError(t, err)
				got = append(got, p.step)
			}
			require.Equal(t, c.want, got)
		})
	}
}

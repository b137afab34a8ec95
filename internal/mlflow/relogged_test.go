package mlflow

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/history"
)

// TestPointsSentAgainForAModel does what a client does that logs a model: it
// sends points of the run once more, as the model's.
func TestPointsSentAgainForAModel(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	model := s.loggedModel("e", id)
	point := func(key string, step int, value float64, model string) object {
		p := object{"key": key, "value": value, "timestamp": 1000 + step, "step": step}
		if model != "" {
			p["model_id"] = model
		}
		return p
	}
	for step := range 3 {
		post[object](s, "runs/log-batch", object{"run_id": id, "metrics": []object{point("m", step, float64(step), "")}})
	}
	again := object{"run_id": id, "metrics": []object{point("m", 0, 0, model), point("m", 1, 7, model), point("new", 0, 1, model)}}
	post[object](s, "runs/log-batch", again)
	require.Equal(t, 5, s.logged(id), "a point of a time and step that has another value is another point")
	post[object](s, "runs/log-batch", again)
	s.handler.writers.retire(t.Context(), s.handler.writers.open[logID{id: id}])
	post[object](s, "runs/log-batch", again)
	require.Equal(t, 5, s.logged(id), "what was sent again is there once")
	for step := range 3 {
		post[object](s, "runs/log-metric", object{"run_id": id, "key": "m", "value": 1, "timestamp": 2000, "step": 3 + step, "model_id": model})
	}
	require.Equal(t, 8, s.logged(id))
	require.Len(t, get[loggedModelResponse](s, "logged-models/"+model).Model.Data.Metrics, 2)
}

// logged counts the points in the run's log, each time that one was logged.
func (s *served) logged(id string) (n int) {
	s.t.Helper()
	r, err := history.Get(s.t.Context(), s.core, id)
	require.NoError(s.t, err)
	log, err := history.Metrics(s.core, r.Value)
	require.NoError(s.t, err)
	for _, err := range log.Read(s.t.Context(), nil) {
		require.NoError(s.t, err)
		n++
	}
	return n
}

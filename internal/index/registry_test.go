package index

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

func (s *space) found(t *testing.T, k *Kind, text string, orderBy ...string) []string {
	t.Helper()
	ids, err := s.search(t.Context(), k, text, orderBy...)
	require.NoError(t, err)
	return ids
}

// refreshed compares everything first: what a feed tells must be the same.
func (s *space) refreshed(t *testing.T) *space {
	t.Helper()
	x, err := Of(s.Handle)
	require.NoError(t, err)
	require.NoError(t, x.Refresh(t.Context(), true))
	return s
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for name, s := range map[string]*space{"memory": open(t, memory.NewObjects(), t.TempDir()), "local": local(t, t.TempDir(), t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			_, err := registry.Create(ctx, s.Handle, record.RegisteredModel{Name: "a-1b2c3d4e", Title: "A title", Tags: map[string]string{"team": "risk"}})
			require.NoError(t, err)
			for _, model := range []string{"m", "m", "m.json", "m-x"} {
				_, err := registry.Register(ctx, s.Handle, model, record.Model{Source: "s3://b/" + model, Stage: "Production"}, nil)
				require.NoError(t, err)
			}
			_, err = registry.Rename(ctx, s.Handle, "m-x", "later", "later")
			require.NoError(t, err)
			all := []string{"a-1b2c3d4e", "m-x", "m", "m.json"} // by what clients see: A title, later, m, m.json
			require.Equal(t, all, s.found(t, RegisteredModels, ""))
			require.Equal(t, all, s.refreshed(t).found(t, RegisteredModels, ""))
			require.Equal(t, []string{"a-1b2c3d4e"}, s.found(t, RegisteredModels, "name = 'A title'"))
			require.Equal(t, []string{"m-x"}, s.found(t, RegisteredModels, "name = 'later'"))
			require.Equal(t, []string{"a-1b2c3d4e"}, s.found(t, RegisteredModels, "tags.team = 'risk'"))
			require.Equal(t, []string{"m:2", "m:1", "m-x:1", "m.json:1"}, s.found(t, Models, "stage = 'Production'"))
			require.Equal(t, []string{"m.json:1"}, s.found(t, Models, "source_path = 's3://b/m.json'"))

			require.NoError(t, registry.Delete(ctx, s.Handle, "m"))
			left := []string{"a-1b2c3d4e", "m-x", "m.json"}
			require.Equal(t, left, s.found(t, RegisteredModels, ""))
			require.Equal(t, left, s.refreshed(t).found(t, RegisteredModels, ""))
			require.Equal(t, []string{"m-x:1", "m.json:1"}, s.found(t, Models, ""))
			require.NoError(t, s.Objects().Delete(ctx, "models/m.json.json", &backend.DeleteOptions{}))
			require.Equal(t, left[:2], s.refreshed(t).found(t, RegisteredModels, ""))
		})
	}
}

func (s *space) logModel(t *testing.T, id string, points map[history.ModelSeries]float64) {
	t.Helper()
	log, err := history.ModelMetrics(s.Handle, id)
	require.NoError(t, err)
	w, err := log.NewWriter()
	require.NoError(t, err)
	for series, value := range points {
		require.NoError(t, w.Log(series.Name(), value, 0, time.Now()))
	}
	require.NoError(t, w.Close(t.Context()))
}

func TestLoggedModels(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := local(t, t.TempDir(), t.TempDir())
	_, err := core.Create(ctx, s.Handle, history.ExperimentRef("e"), record.Experiment{Name: "e"})
	require.NoError(t, err)
	for _, id := range []string{"m-a", "m-a-b", "m-c"} {
		_, err := history.CreateLoggedModel(ctx, s.Handle, record.LoggedModel{ID: id, Experiment: "e", Name: id, Status: record.LoggedModelPending, Params: map[string]string{"p": id}})
		require.NoError(t, err)
	}
	require.Equal(t, []string{"m-c", "m-a-b", "m-a"}, s.found(t, LoggedModels, ""))
	train, test := history.ModelSeries{Metric: "acc", RunID: "r", Dataset: "train", Digest: "1"}, history.ModelSeries{Metric: "acc", RunID: "r", Dataset: "test", Digest: "1"}
	s.logModel(t, "m-a", map[history.ModelSeries]float64{train: 0.9})
	s.logModel(t, "m-a", map[history.ModelSeries]float64{test: 0.5})
	s.logModel(t, "m-a-b", map[history.ModelSeries]float64{train: 0.7})
	for range 2 {
		require.Equal(t, []string{"m-a-b"}, s.found(t, LoggedModels, "metrics.acc > 0.6"), "the latest counts")
		require.Equal(t, []string{"m-a-b", "m-a"}, s.found(t, LoggedModels, MetricOn("acc", "train", "").String()+" > 0.6"))
		require.Equal(t, []string{"m-a"}, s.found(t, LoggedModels, MetricOn("", "test", "1").String()+" is not null"))
		require.Equal(t, []string{"m-a", "m-a-b", "m-c"}, s.found(t, LoggedModels, "", "metrics.acc"))
		s.refreshed(t)
	}

	// What is being logged is seen as soon as the log has changed in the store.
	log, err := history.ModelMetrics(s.Handle, "m-c")
	require.NoError(t, err)
	w, err := log.NewWriter()
	require.NoError(t, err)
	require.NoError(t, w.Log(train.Name(), 0.1, 0, time.Now()))
	require.NoError(t, w.Flush(ctx))
	require.Equal(t, []string{"m-c"}, s.found(t, LoggedModels, "metrics.acc < 0.2"))
	require.NoError(t, w.Log(train.Name(), 0.8, 1, time.Now()))
	require.Equal(t, []string{"m-c"}, s.found(t, LoggedModels, "metrics.acc = 0.8"))
	require.NoError(t, w.Close(ctx))
	require.Equal(t, []string{"m-c"}, s.found(t, LoggedModels, "metrics.acc = 0.8"))

	require.NoError(t, history.DeleteLoggedModel(ctx, s.Handle, "m-a"))
	require.Equal(t, []string{"m-c", "m-a-b"}, s.found(t, LoggedModels, ""))
	require.Equal(t, []string{"m-c", "m-a-b"}, s.refreshed(t).found(t, LoggedModels, ""))
}

// The fields of datasets are read back from their text.
func TestMetricOnIsAField(t *testing.T) {
	t.Parallel()
	f := MetricOn("a`b", "data set", "x")
	e, err := LoggedModels.Schema.Parse(filter.Comparison{Field: f, Op: filter.IsNull}.String())
	require.NoError(t, err)
	require.Equal(t, filter.Comparison{Field: f, Op: filter.IsNull}, e)
}

package mlflow

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// TestManyClients lets many clients log to one run, and more runs than are held
// open at a time.
func TestManyClients(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	const clients, each = 16, 25
	var working sync.WaitGroup
	for n := range clients {
		working.Go(func() {
			for i := range each {
				post[object](s, "runs/log-metric", object{"run_id": id, "key": "m", "value": 1, "timestamp": 1, "step": n*each + i})
				if i%5 == 0 {
					post[object](s, "runs/log-batch", object{"run_id": id, "params": []object{{"key": fmt.Sprintf("p%d-%d", n, i), "value": "v"}},
						"tags": []object{{"key": "t" + strconv.Itoa(n), "value": strconv.Itoa(i)}}})
				}
			}
		})
	}
	working.Wait()
	data := get[runResponse](s, "runs/get?run_id="+id).Run.Data
	require.Len(t, data.Params, clients*each/5)
	require.Len(t, data.Tags, clients+1)
	require.Len(t, get[metricsResponse](s, "metrics/get-history?metric_key=m&run_id="+id).Metrics, clients*each)
}

// TestManyRuns logs to more runs than are held open, which get closed on the way.
func TestManyRuns(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.handler.writers.most = 4
	s.story()
	var working sync.WaitGroup
	ids := make([]string, 12)
	for i := range ids {
		ids[i] = post[runResponse](s, "runs/create", object{"experiment_id": "e"}).Run.Info.RunID
	}
	for _, id := range ids {
		working.Go(func() {
			for step := range 20 {
				post[object](s, "runs/log-metric", object{"run_id": id, "key": "m", "value": 1, "timestamp": 1, "step": step})
			}
		})
	}
	working.Wait()
	s.handler.writers.mu.Lock()
	require.LessOrEqual(t, len(s.handler.writers.open), 4+1)
	s.handler.writers.mu.Unlock()
	for _, id := range ids {
		require.Len(t, get[metricsResponse](s, "metrics/get-history?metric_key=m&run_id="+id).Metrics, 20)
	}
}

// TestManyCreators creates one experiment from many clients: one makes it.
func TestManyCreators(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var mu sync.Mutex
	codes := map[int]int{}
	var working sync.WaitGroup
	for range 12 {
		working.Go(func() {
			a := s.send("POST", "/api/2.0/mlflow/experiments/create", jsonType, `{"name":"one for all"}`)
			mu.Lock()
			defer mu.Unlock()
			codes[a.status]++
		})
	}
	working.Wait()
	require.Equal(t, map[int]int{200: 1, 400: 11}, codes)
}

// TestIDUsedAgain deletes a run for good that a client logs to, and gives
// another its ID: from the next look on, it is that one which is logged to.
func TestIDUsedAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	id := s.story()
	log := func(step int) {
		post[object](s, "runs/log-metric", object{"run_id": id, "key": "m", "value": step, "timestamp": 1, "step": step})
	}
	log(1)
	old, err := history.Get(t.Context(), s.core, id)
	require.NoError(t, err)
	keys, err := history.Keys(t.Context(), s.core, old.Value)
	require.NoError(t, err)
	for _, key := range append(keys, history.Ref(id).Key) {
		require.NoError(t, s.core.Objects().Delete(t.Context(), key, &backend.DeleteOptions{}))
	}
	_, err = history.Create(t.Context(), s.core, record.Run{ID: id, Experiment: old.Value.Experiment, Status: record.Running, Type: RunType})
	require.NoError(t, err)
	require.Empty(t, get[runResponse](s, "runs/get?run_id="+id).Run.Data.Metrics, "though the first one is open still")
	s.handler.writers.forget(logID{id: id}) // as a second later
	log(2)
	require.Len(t, get[metricsResponse](s, "metrics/get-history?metric_key=m&run_id="+id).Metrics, 1)
	latest := get[runResponse](s, "runs/get?run_id="+id).Run.Data.Metrics
	require.Len(t, latest, 1)
	require.EqualValues(t, 2, latest[0].Step)
}

package mlflow

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
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

package mlflow

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHistoryPage writes pages by hand as encoding/json writes the message of
// the same form.
func TestHistoryPage(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	values := []float64{0, math.Copysign(0, -1), 1, -1, 0.1, 1e-7, 1e-6, 1e15, 1e21, 1e300, math.MaxFloat64, math.SmallestNonzeroFloat64, math.NaN(), math.Inf(1), math.Inf(-1)}
	for range 1000 {
		values = append(values, math.Float64frombits(random.Uint64()), random.NormFloat64())
	}
	for _, n := range []int{0, 1, 2, len(values)} {
		page := historyPage{key: "a \"b\"\n<ü\u2028", next: map[bool]string{true: `t"k`}[n == 2]}
		want := metricsResponse{NextPageToken: page.next}
		for _, v := range values[:n] {
			p := point{random.Int64(), random.Int64() - 1<<62, v}
			page.points = append(page.points, p)
			want.Metrics = append(want.Metrics, p.view("", page.key))
		}
		var got bytes.Buffer
		w := bufio.NewWriterSize(&got, 64) // so that most points go out one by one
		page.writeTo(w)
		require.NoError(t, w.Flush())
		data, err := json.Marshal(want)
		require.NoError(t, err)
		require.JSONEq(t, string(data), got.String())
	}
}

// TestDouble writes numbers that read as the same ones.
func TestDouble(t *testing.T) {
	t.Parallel()
	for range 10_000 {
		v := math.Float64frombits(rand.Uint64())
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		var back float64
		require.NoError(t, json.Unmarshal(appendDouble(nil, v), &back), "%x", math.Float64bits(v))
		require.Equal(t, math.Float64bits(v), math.Float64bits(back))
	}
}

// TestHalfRead keeps histories within its bound, the last used ones.
func TestHalfRead(t *testing.T) {
	t.Parallel()
	var r halfRead
	for i := range 1000 {
		r.keep(keptHistory{run: "r", key: fmt.Sprint(i), points: make([]point, 1)})
	}
	require.Len(t, r.kept, maxHalfRead/leastHalfRead)
	require.Nil(t, r.take("r", "1").points)
	require.NotNil(t, r.take("r", "999").points)
	require.Nil(t, r.take("r", "999").points, "it was taken")
	r.keep(keptHistory{run: "r", key: "big", points: make([]point, maxHalfRead-leastHalfRead)})
	require.Len(t, r.kept, 2)
	r.keep(keptHistory{run: "r", key: "greater", points: make([]point, maxHalfRead+1)})
	require.Len(t, r.kept, 2)
}

// TestHistoryThatGrows reads a history in pages while it grows: no page is made
// of what was.
func TestHistoryThatGrows(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	experiment := post[createExperimentResponse](s, "experiments/create", object{"name": "e"}).ExperimentID
	id := post[runResponse](s, "runs/create", object{"experiment_id": experiment}).Run.Info.RunID
	add := func(at int) {
		post[nothing](s, "runs/log-metric", object{"run_id": id, "key": "m", "value": at, "timestamp": at, "step": at})
	}
	read := func(token string) (steps []int64, next string) {
		page := get[metricsResponse](s, "metrics/get-history?run_id="+id+"&metric_key=m&max_results=2&page_token="+url.QueryEscape(token))
		for _, m := range page.Metrics {
			steps = append(steps, m.Step)
		}
		return steps, page.NextPageToken
	}
	for at := 10; at < 60; at += 10 {
		add(at)
	}
	post[updateRunResponse](s, "runs/update", object{"run_id": id, "status": "FINISHED", "end_time": 1})
	steps, next := read("")
	require.Equal(t, []int64{10, 20}, steps)
	require.Len(t, s.handler.halfRead.kept, 1)
	steps, last := read(next)
	require.Equal(t, []int64{30, 40}, steps)
	add(35)
	steps, _ = read(next)
	require.Equal(t, []int64{30, 35}, steps)
	steps, last = read(last)
	require.Equal(t, []int64{40, 50}, steps)
	require.Empty(t, last)
	require.Empty(t, s.handler.halfRead.kept, "after the last page nothing is kept")
}

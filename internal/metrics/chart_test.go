package metrics

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// chartNumbers are the numbers of the tests' metric, with its steps.
type chartNumbers struct {
	steps  []int64
	values []float64
}

// bucketsOf makes the buckets by their definition, the slow way.
func (n chartNumbers) bucketsOf(limit int, steps *StepRange) []Bucket {
	for size := 1; ; size *= 2 {
		var out []Bucket
		last := -1
		for i, step := range n.steps {
			if steps != nil && (step < steps.First || step > steps.Last) {
				continue
			}
			b := pointBucket(step, n.values[i])
			if i/size == last {
				out[len(out)-1].add(&b)
			} else {
				out = append(out, b)
			}
			last = i / size
		}
		if len(out) <= limit {
			return out
		}
	}
}

func TestChart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		points int
		step   func(i int) int64
		mixed  bool // with values that are no numbers between
	}{
		"none":              {0, nil, true},
		"few":               {10, func(i int) int64 { return int64(i) }, false},
		"one level":         {3000, func(i int) int64 { return int64(i) }, false},
		"levels":            {150_000, func(i int) int64 { return int64(i) }, false},
		"without steps":     {3000, func(int) int64 { return 0 }, false},
		"back and forth":    {9000, func(i int) int64 { return int64(i % 4000) }, false},
		"no numbers beside": {9000, func(i int) int64 { return int64(i) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _ := newLog(t, defaultLimits)
			l.limits.groupRows = 40_000
			w := newWriter(t, l)
			r := newRand(t)
			var n chartNumbers
			require.NoError(t, w.Append(Point{Name: "y", Kind: KindScalar, Value: int64(1)}))
			if tt.mixed {
				require.NoError(t, w.Append(Point{Name: "x", Kind: KindScalar, Value: "text"}))
			}
			for i := range tt.points {
				v := r.NormFloat64()
				if i%1000 == 7 {
					v = math.NaN()
				}
				n.steps, n.values = append(n.steps, tt.step(i)), append(n.values, v)
				require.NoError(t, w.Log("x", v, tt.step(i), testTime.Add(time.Duration(i))))
				if tt.mixed && i%3 == 0 {
					require.NoError(t, w.Append(Point{Name: "x", Kind: KindScalar, Value: nil, Time: testTime}))
				}
				require.NoError(t, w.Log("z", 1, 0, testTime))
			}
			require.NoError(t, w.Close(t.Context()))
			checkCharts(t, l, n)
			mustSeal(t, l)
			checkCharts(t, l, n)
			sound(t, l)
		})
	}
}

func checkCharts(t *testing.T, l *Log, n chartNumbers) {
	t.Helper()
	all := int64(len(n.steps))
	for _, points := range []int{1, 7, 100, 1000} {
		for _, steps := range []*StepRange{nil, {0, 0}, {5, 4}, {all / 3, all / 2}, {100, all - 100}, {-5, all + 5}, {all + 1, all + 2}} {
			want := n.bucketsOf(points, steps)
			got, err := l.Chart(t.Context(), "x", &ChartOptions{Points: points, Steps: steps})
			require.NoError(t, err)
			require.Len(t, got, len(want), "%d points, steps %v", points, steps)
			for i := range want {
				require.InDelta(t, want[i].Sum, got[i].Sum, 1e-6)
				want[i].Sum, got[i].Sum = 0, 0
				require.Equal(t, want[i], got[i], "%d points, steps %v, bucket %d", points, steps, i)
			}
		}
	}
}

func TestChartOfNothing(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t, defaultLimits)
	for range 2 {
		_, err := l.Chart(t.Context(), "x", nil)
		require.ErrorIs(t, err, azml.ErrNotFound)
		_, err = l.Chart(t.Context(), "x", &ChartOptions{Points: -1})
		require.ErrorIs(t, err, azml.ErrInvalid)
		w := newWriter(t, l)
		require.NoError(t, w.Log("y", 1, 0, testTime))
		require.NoError(t, w.Close(t.Context()))
		mustSeal(t, l)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Chart(ctx, "y", nil)
	require.ErrorIs(t, err, context.Canceled)
}

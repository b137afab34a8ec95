package watch

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/run"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// logged gives values of a metric, one each second.
func logged(name string, value func(i int) float64, step func(i int) int64, n int) []run.Metric {
	var all []run.Metric
	for i := range n {
		all = append(all, run.Metric{Name: name, Kind: run.MetricScalar, Step: step(i), Time: began.Add(time.Duration(i) * time.Second), Value: value(i)})
	}
	return all
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	one := func(int) float64 { return 1 }
	index := func(i int) int64 { return int64(i) }
	from1 := func(i int) int64 { return int64(i) + 1 }
	none := func(int) int64 { return 0 }
	steps := logged("loss", one, index, 10)
	for name, tt := range map[string]struct {
		points  []run.Metric
		details run.Details
		steps   int64
		want    Progress
	}{
		"nothing logged":            {nil, run.Details{}, 0, Progress{Unit: "steps"}},
		"no end known":              {steps, run.Details{}, 0, Progress{Done: 10, Unit: "steps", Rate: 1}},
		"given":                     {steps, run.Details{}, 20, Progress{10, 20, "steps", 1, 10 * time.Second}},
		"given beats the run":       {steps, run.Details{Params: map[string]string{"max_steps": "40"}}, 20, Progress{10, 20, "steps", 1, 10 * time.Second}},
		"from 1":                    {logged("loss", one, from1, 10), run.Details{}, 20, Progress{10, 20, "steps", 1, 10 * time.Second}},
		"another metric has step 0": {append(logged("start", one, none, 3), logged("loss", one, from1, 10)...), run.Details{}, 20, Progress{10, 20, "steps", 1, 10 * time.Second}},
		"parameter":                 {steps, run.Details{Params: map[string]string{"max_steps": "40"}}, 0, Progress{10, 40, "steps", 1, 30 * time.Second}},
		"parameter of a group":      {steps, run.Details{Params: map[string]string{"trainer/max-steps": "40"}}, 0, Progress{10, 40, "steps", 1, 30 * time.Second}},
		"parameter beats tag":       {steps, run.Details{Params: map[string]string{"steps": "40"}, Tags: map[string]string{"steps": "50"}}, 0, Progress{10, 40, "steps", 1, 30 * time.Second}},
		"tag":                       {steps, run.Details{Tags: map[string]string{"epochs": "11"}}, 0, Progress{10, 11, "epochs", 1, time.Second}},
		"argument":                  {steps, run.Details{Arguments: []string{"--lr", "0.1", "--epochs", "40"}}, 0, Progress{10, 40, "epochs", 1, 30 * time.Second}},
		"argument with =":           {steps, run.Details{Command: []string{"python", "t.py", "--max-epochs=40"}}, 0, Progress{10, 40, "epochs", 1, 30 * time.Second}},
		"argument of Hydra":         {steps, run.Details{Arguments: []string{"trainer.max_epochs=40"}}, 0, Progress{10, 40, "epochs", 1, 30 * time.Second}},
		"a word is no argument":     {steps, run.Details{Arguments: []string{"epochs", "40"}}, 0, Progress{Done: 10, Unit: "steps", Rate: 1}},
		"no number":                 {steps, run.Details{Params: map[string]string{"epochs": "many", "max_steps": "-1", "steps": "NaN"}}, 0, Progress{Done: 10, Unit: "steps", Rate: 1}},
		"steps beat epochs":         {steps, run.Details{Params: map[string]string{"max_steps": "40", "epochs": "20"}}, 0, Progress{10, 40, "steps", 1, 30 * time.Second}},
		"the steps are no epochs":   {steps, run.Details{Params: map[string]string{"epochs": "3"}}, 0, Progress{Done: 10, Unit: "steps", Rate: 1}},
		"unused steps":              {steps, run.Details{Params: map[string]string{"max_steps": "-1", "num_train_epochs": "20"}}, 0, Progress{10, 20, "epochs", 1, 10 * time.Second}},
		"metric epoch": {logged("epoch", func(i int) float64 { return float64(i) / 10 }, func(i int) int64 { return int64(i) * 100 }, 11),
			run.Details{Params: map[string]string{"num_train_epochs": "3"}}, 0, Progress{1, 3, "epochs", 0.1, 20 * time.Second}},
		"metric progress":     {logged("progress", func(i int) float64 { return float64(i) / 100 }, none, 51), run.Details{}, 0, Progress{0.5, 1, "", 0.01, 50 * time.Second}},
		"progress in percent": {logged("progress", func(i int) float64 { return float64(i + 2) }, none, 51), run.Details{}, 0, Progress{Unit: "steps"}},
		"without steps":       {logged("loss", one, none, 10), run.Details{}, 0, Progress{Unit: "steps"}},
		"the machine":         {logged("system/x", one, index, 10), run.Details{}, 0, Progress{Unit: "steps"}},
		"done":                {steps, run.Details{}, 10, Progress{10, 10, "steps", 1, 0}},
		"more than said":      {steps, run.Details{}, 5, Progress{9, 5, "steps", 1, 0}},
		"one step":            {steps[:2], run.Details{}, 4, Progress{2, 4, "steps", 1, 2 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c counter
			now := began
			for _, m := range tt.points {
				c.add(m)
				now = m.Time
			}
			got := c.estimate(&tt.details, tt.steps, now)
			require.InDelta(t, tt.want.Left.Seconds(), got.Left.Seconds(), 1e-6)
			require.InDelta(t, tt.want.Rate, got.Rate, 1e-9)
			got.Left, got.Rate = tt.want.Left, tt.want.Rate
			require.Equal(t, tt.want, got)
		})
	}
}

func TestEstimateFollowsTheRate(t *testing.T) {
	t.Parallel()
	var c counter
	at := began
	for i := range 200_000 { // slow at first, then ten times as fast
		if i < 50_000 {
			at = at.Add(100 * time.Millisecond)
		} else {
			at = at.Add(10 * time.Millisecond)
		}
		c.add(run.Metric{Name: "loss", Step: int64(i), Time: at, Value: 1.0})
	}
	require.LessOrEqual(t, len(c.steps.marks), mostMarks)
	p := c.estimate(&run.Details{}, 300_000, at)
	require.InDelta(t, 100, p.Rate, 2)
	require.InDelta(t, 1000, p.Left.Seconds(), 20)

	later := c.estimate(&run.Details{}, 300_000, at.Add(time.Hour))
	require.Less(t, later.Rate, p.Rate/2, "a run that hangs gets slower")
	part, ok := p.Part()
	require.True(t, ok)
	require.InDelta(t, 2.0/3, part, 0.01)

	ended := run.Details{Ended: at}
	require.Equal(t, p.Rate, c.estimate(&ended, 300_000, at.Add(time.Hour)).Rate, "a run that has ended does not")
}

func TestEstimateOfNonsense(t *testing.T) {
	t.Parallel()
	for name, points := range map[string][]run.Metric{
		"time stands still": {{Name: "a", Step: 1, Time: began}, {Name: "a", Step: 2, Time: began}, {Name: "a", Step: 3, Time: began}},
		"time goes back":    {{Name: "a", Step: 1, Time: began}, {Name: "a", Step: 2, Time: began.Add(-time.Hour)}},
		"below zero":        {{Name: "a", Step: -5, Time: began}, {Name: "a", Step: math.MinInt64, Time: began.Add(1)}},
		"huge steps":        {{Name: "a", Step: 1, Time: began}, {Name: "a", Step: math.MaxInt64, Time: began.Add(1)}},
		"no finite number":  {{Name: "progress", Value: math.NaN()}, {Name: "epoch", Value: math.Inf(1)}, {Name: "epoch", Value: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c counter
			for _, m := range points {
				c.add(m)
			}
			for _, steps := range []int64{0, 1, math.MaxInt64} {
				p := c.estimate(&run.Details{}, steps, began.Add(time.Second))
				require.False(t, math.IsNaN(p.Rate) || math.IsInf(p.Rate, 0) || p.Rate < 0, "%+v", p)
				require.GreaterOrEqual(t, p.Left, time.Duration(0))
			}
		})
	}
}

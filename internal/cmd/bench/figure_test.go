package main

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		values []float64
		want   float64
	}{
		"none":     {nil, 0},
		"one":      {[]float64{3}, 3},
		"odd":      {[]float64{9, 1, 5}, 5},
		"even":     {[]float64{4, 1, 2, 100}, 3},
		"repeated": {[]float64{2, 2, 2, 7}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			given := slices.Clone(tt.values)
			require.Equal(t, tt.want, median(tt.values))
			require.Equal(t, given, tt.values, "the values stay in their order")
		})
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for name, tt := range map[string]struct {
		sorted []float64
		p      float64
		want   float64
	}{
		"none":         {nil, 0.5, 0},
		"one":          {[]float64{7}, 0.99, 7},
		"half":         {hundred, 0.5, 50},
		"99 of 100":    {hundred, 0.99, 99},
		"just above":   {hundred, 0.991, 100},
		"all":          {hundred, 1, 100},
		"none of them": {hundred, 0, 1},
		"half of two":  {[]float64{1, 2}, 0.5, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, percentile(tt.sorted, tt.p))
		})
	}
}

func TestMean(t *testing.T) {
	t.Parallel()
	require.Zero(t, mean(nil))
	require.Equal(t, 2.5, mean([]float64{1, 4}))
}

func TestRatioIsOfRounds(t *testing.T) {
	t.Parallel()
	// One round on a machine that was ten times slower changes nothing.
	require.Equal(t, 2.0, ratio([]float64{2, 20, 2}, []float64{1, 10, 1}))
	require.Equal(t, 3.0, ratio([]float64{3, 5}, []float64{1, 0}), "a floor of nothing is left out")
	require.Zero(t, ratio(nil, []float64{1}))
}

func TestRound(t *testing.T) {
	t.Parallel()
	for given, want := range map[float64]float64{
		0: 0, 1: 1, 1234.4: 1234, 123456: 123500, 0.00123456: 0.001235, -9.99996: -10,
		math.Inf(1): 0, math.Inf(-1): 0,
	} {
		require.InEpsilon(t, want+1, round(given)+1, 1e-12, "%v", given)
	}
	require.Zero(t, round(math.NaN()), "JSON has no NaN")
}

func TestRoundedLeavesTheFigureAlone(t *testing.T) {
	t.Parallel()
	f := figure{Value: 1.23456, Floor: &named{"floor", 1.23456}, Beside: []named{{"other", 1.23456}}}
	got := f.rounded()
	require.Equal(t, figure{Value: 1.235, Floor: &named{"floor", 1.235}, Beside: []named{{"other", 1.235}}}, got)
	require.Equal(t, 1.23456, f.Floor.Value)
	require.Equal(t, 1.23456, f.Beside[0].Value)
}

func TestRoundsTakeTurns(t *testing.T) {
	t.Parallel()
	var order string
	turn := func(name string, value float64) side {
		return func(context.Context) (sample, error) {
			order += name
			return sample{value: value, cpu: value / 2}, nil
		}
	}
	b := &bench{} // no time: the least number of rounds
	got, err := b.rounds(t.Context(), turn("a", 4), turn("b", 2))
	require.NoError(t, err)
	require.Equal(t, "abababababab", order, "one round to warm up and five that count")
	require.Equal(t, []float64{4, 4, 4, 4, 4}, got[0].value)
	require.Equal(t, []float64{1, 1, 1, 1, 1}, got[1].cpu)

	f := figureOf("x", "ms", 1e3, got[0], "floor", got[1])
	require.Equal(t, figure{Name: "x", Value: 4000, Unit: "ms", Floor: &named{"floor", 2000}, Ratio: 2, N: 5}, f)
}

func TestRoundsEndWithAnError(t *testing.T) {
	t.Parallel()
	wrong := errors.New("wrong")
	_, err := (&bench{}).rounds(t.Context(), func(context.Context) (sample, error) { return sample{}, wrong })
	require.ErrorIs(t, err, wrong)
}

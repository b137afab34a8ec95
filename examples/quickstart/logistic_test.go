package main

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// tiny makes a table of random numbers whose classes depend on the first.
func tiny(t *testing.T) table {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	made := table{classes: []string{"no", "yes"}}
	for range 40 {
		row := []float64{random.NormFloat64(), 100 + 10*random.NormFloat64(), random.Float64()}
		made.rows = append(made.rows, row)
		made.labels = append(made.labels, class(row[0]+random.Float64()))
	}
	return made
}

func TestScaling(t *testing.T) {
	t.Parallel()
	c := newClassifier(table{rows: [][]float64{{1, 10}, {3, 10.5}, {5, 9.5}}, labels: []int{0, 1, 1}})
	require.InDeltaSlice(t, []float64{3, 10}, c.Mean, 1e-12)
	require.InDeltaSlice(t, []float64{math.Sqrt(8.0 / 3), math.Sqrt(0.5 / 3)}, c.Scale, 1e-12)
	require.InDelta(t, 0.5, c.probability([]float64{1, 10}), 0, "it knows nothing yet")
}

// The gradient is compared with how much the loss really changes.
func TestGradient(t *testing.T) {
	t.Parallel()
	data := tiny(t)
	c := newClassifier(data)
	c.Weights, c.Bias = []float64{0.7, -1.3, 0.2}, -0.4
	weights, bias := c.gradient(data)
	const h = 1e-6
	slope := func(at *float64) float64 {
		middle := *at
		*at = middle + h
		up := c.loss(data)
		*at = middle - h
		down := c.loss(data)
		*at = middle
		return (up - down) / (2 * h)
	}
	for j := range c.Weights {
		require.InDelta(t, slope(&c.Weights[j]), weights[j], 1e-7, "weight %d", j)
	}
	require.InDelta(t, slope(&c.Bias), bias, 1e-7, "bias")
}

func TestLoss(t *testing.T) {
	t.Parallel()
	one := func(label int) table { return table{rows: [][]float64{{1}}, labels: []int{label}} }
	c := &classifier{Mean: []float64{0}, Scale: []float64{1}, Weights: []float64{2}, Bias: -0.5}
	require.InDelta(t, -math.Log(c.probability([]float64{1})), c.loss(one(1)), 1e-12)
	require.InDelta(t, -math.Log(1-c.probability([]float64{1})), c.loss(one(0)), 1e-12)
	c.Weights[0] = 5000
	require.InDelta(t, 4999.5, c.loss(one(0)), 1e-9, "no overflow")
	require.InDelta(t, 0, c.loss(one(1)), 0)
}

func TestDescendLowersLoss(t *testing.T) {
	t.Parallel()
	data := tiny(t)
	c := newClassifier(data)
	require.InDelta(t, math.Ln2, c.loss(data), 1e-12)
	for range 50 {
		before := c.loss(data)
		c.descend(data, 0.1)
		require.Less(t, c.loss(data), before)
	}
}

func TestConfusion(t *testing.T) {
	t.Parallel()
	c := &classifier{Mean: []float64{0}, Scale: []float64{1}, Weights: []float64{1}}
	data := table{rows: [][]float64{{-1}, {-2}, {3}, {4}, {-5}}, labels: []int{0, 0, 0, 1, 1}}
	require.Equal(t, [][]int{{2, 1}, {1, 1}}, c.confusion(data))
	require.InDelta(t, 0.6, c.accuracy(data), 1e-12)
}

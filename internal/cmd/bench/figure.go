package main

import (
	"math"
	"slices"
)

// figure is one printed line.
type figure struct {
	// Name says what was measured.
	Name string `json:"name"`
	// Value is the median of the rounds, unless Note says otherwise.
	Value float64 `json:"value"`
	// Unit is the unit of all values but those whose names say another.
	Unit string `json:"unit"`
	// Floor is the least that it could cost, measured in the same rounds.
	Floor *named `json:"floor,omitempty"`
	// Ratio is the median over the rounds of value to floor.
	Ratio float64 `json:"ratio,omitempty"`
	// P50 is the median of single operations.
	P50 float64 `json:"p50,omitempty"`
	// P99 is their 99th percentile.
	P99 float64 `json:"p99,omitempty"`
	// Mean is their mean.
	Mean float64 `json:"mean,omitempty"`
	// Beside holds what else was seen: other floors, peers, counts.
	Beside []named `json:"beside,omitempty"`
	// N is the number of rounds or operations.
	N int `json:"n,omitempty"`
	// Note says how to read it.
	Note string `json:"note,omitempty"`
}

// named is a value with its name.
type named struct {
	// Name says what was measured.
	Name string `json:"name"`
	// Value is in the figure's unit, unless Name gives another.
	Value float64 `json:"value"`
}

// rounded gives the figure with four digits, for more would be noise.
func (f figure) rounded() figure {
	for _, v := range []*float64{&f.Value, &f.Ratio, &f.P50, &f.P99, &f.Mean} {
		*v = round(*v)
	}
	if f.Floor != nil {
		f.Floor = &named{f.Floor.Name, round(f.Floor.Value)}
	}
	f.Beside = slices.Clone(f.Beside)
	for i := range f.Beside {
		f.Beside[i].Value = round(f.Beside[i].Value)
	}
	return f
}

// round keeps four digits. What is no number has none: 0.
func round(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// median gives the middle of the values, 0 of none.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// percentile gives the least value that a share p of the sorted values does
// not exceed, 0 of none.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

func mean(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// ratio gives the median of the quotients of what was measured in the same
// round: what disturbs both sides of a round alike is not in it.
func ratio(values, floors []float64) float64 {
	var quotients []float64
	for i, value := range values[:min(len(values), len(floors))] {
		if floor := floors[i]; floor > 0 {
			quotients = append(quotients, value/floor)
		}
	}
	return median(quotients)
}

// scaled gives the values in another unit.
func scaled(values []float64, by float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = v * by
	}
	return out
}

package metrics

import "math"

// Tally sums up numbers.
type Tally struct {
	// Numbers is how many there are, NaN left out. Min and Max mean nothing when
	// it is 0.
	Numbers int64
	// NaNs is how many NaN there are.
	NaNs int64
	// Min and Max are the least and the greatest number, ±Inf among them.
	Min, Max float64
}

// Add takes in a number. It gives false for NaN.
func (t *Tally) Add(v float64) bool {
	if math.IsNaN(v) {
		t.NaNs++
		return false
	}
	t.merge(&Tally{Numbers: 1, Min: v, Max: v})
	return true
}

// merge takes in the numbers of another.
func (t *Tally) merge(o *Tally) {
	t.NaNs += o.NaNs
	switch {
	case o.Numbers == 0:
		return
	case t.Numbers == 0:
		t.Min, t.Max = o.Min, o.Max
	default:
		t.Min, t.Max = min(t.Min, o.Min), max(t.Max, o.Max)
	}
	t.Numbers += o.Numbers
}

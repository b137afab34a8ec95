package watch

import (
	"maps"
	"slices"
	"strings"

	"github.com/azml-go/azml/internal/terminal"
	"github.com/azml-go/azml/run"
)

// trendPoints is how many points of a metric are kept to draw its shape.
const trendPoints = 64

// State is what is known of a run.
type State struct {
	// Details is the run's record.
	Details run.Details
	// Metrics are the metrics that were picked, by name.
	Metrics []*Metric
	// Progress says how far the run is.
	Progress Progress
	// Output is the end of what the script wrote.
	Output *Tail
	// Children are the run's child runs, the newest first.
	Children []run.Details
	// Trouble says what can't be read at the moment, empty when all can.
	Trouble string

	byName  map[string]*Metric
	machine []*Metric
	fresh   bool // Metrics or machine lack some of byName
}

// Metric is what a metric comes to so far.
type Metric struct {
	// Summary sums up the values so far.
	run.Summary
	// Trend is the shape of its numbers.
	Trend *terminal.Series

	picked bool
}

func newState(d run.Details, lines int) State {
	s := State{Details: d, Output: NewTail(lines)}
	s.forgetMetrics()
	return s
}

func (s *State) forgetMetrics() {
	s.Metrics, s.machine, s.byName = nil, nil, map[string]*Metric{}
}

// Machine gives the metrics of the machine, by name, but those that were picked.
func (s *State) Machine() []*Metric { return s.machine }

// add takes a value in.
func (s *State) add(m run.Metric, picked bool) {
	if !picked && !strings.HasPrefix(m.Name, run.SystemPrefix) {
		return
	}
	sum := s.byName[m.Name]
	if sum == nil {
		sum = &Metric{Summary: run.Summary{Name: m.Name, First: m}, Trend: terminal.NewSeries(trendPoints), picked: picked}
		s.byName[m.Name] = sum
		s.fresh = true
	}
	sum.Count++
	sum.Last, sum.Kind = m, m.Kind
	v, ok := m.Number()
	switch {
	case !ok:
		return
	case v != v:
		sum.NaNs++
		return
	case sum.Numbers == 0:
		sum.Min, sum.Max = v, v
	default:
		sum.Min, sum.Max = min(sum.Min, v), max(sum.Max, v)
	}
	sum.Numbers++
	sum.Trend.Add(float64(m.Step), v)
}

// settle brings new names into the sorted lists.
func (s *State) settle() {
	if !s.fresh {
		return
	}
	s.fresh = false
	s.Metrics, s.machine = s.Metrics[:0], s.machine[:0]
	for _, name := range slices.Sorted(maps.Keys(s.byName)) {
		if m := s.byName[name]; m.picked {
			s.Metrics = append(s.Metrics, m)
		} else {
			s.machine = append(s.machine, m)
		}
	}
}

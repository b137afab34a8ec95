package run

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
)

// Comparison puts runs side by side.
type Comparison struct {
	// Runs are the runs' records, in the order in which they were given.
	Runs []Details `json:"runs"`
	// Params are the parameters that any of the runs has, by name.
	Params []LabelComparison `json:"params"`
	// Tags are the tags that any of the runs has, by name.
	Tags []LabelComparison `json:"tags"`
	// Metrics are the metrics that any of the runs has, by name.
	Metrics []MetricComparison `json:"metrics"`
	// SameSnapshot tells that all runs have the same snapshot, or none has one.
	SameSnapshot bool `json:"sameSnapshot"`
	// SameEnvironment tells that all runs have the same environment, or none
	// has one.
	SameEnvironment bool `json:"sameEnvironment"`
}

// LabelComparison is a parameter or a tag in several runs.
type LabelComparison struct {
	// Name is the name of the parameter or tag.
	Name string `json:"name"`
	// Values are its values by run ID. A run that lacks it is not among them.
	Values map[string]string `json:"values"`
	// Differs tells that not all runs have it with the same value.
	Differs bool `json:"differs"`
}

// MetricComparison is a metric in several runs.
type MetricComparison struct {
	// Name is the metric's name.
	Name string `json:"name"`
	// Summaries are what it comes to, by run ID. A run that lacks it is not
	// among them.
	Summaries map[string]Summary `json:"summaries"`
}

// CompareOptions are the options of Compare; there are none so far.
type CompareOptions struct{}

// Compare puts two or more runs of one workspace side by side, by their records
// as they were last read and by all their metrics, which it reads. Errors:
// ErrInvalid when there are fewer than two runs, or one twice; those of
// Run.Summaries.
func Compare(ctx context.Context, runs []*Run, _ *CompareOptions) (*Comparison, error) {
	if err := checkComparable(runs); err != nil {
		return nil, err
	}
	c := &Comparison{SameSnapshot: true, SameEnvironment: true}
	params, tags := map[string]map[string]string{}, map[string]map[string]string{}
	metrics := map[string]map[string]Summary{}
	for _, r := range runs {
		d := r.Details()
		c.Runs = append(c.Runs, d)
		c.SameSnapshot = c.SameSnapshot && d.SnapshotID == c.Runs[0].SnapshotID
		c.SameEnvironment = c.SameEnvironment && d.Environment == c.Runs[0].Environment
		turn(params, r.id, d.Params)
		turn(tags, r.id, d.Tags)
		sums, err := r.Summaries(ctx)
		if err != nil {
			return nil, err
		}
		turn(metrics, r.id, sums)
	}
	c.Params, c.Tags = labelComparisons(params, len(runs)), labelComparisons(tags, len(runs))
	c.Metrics = []MetricComparison{}
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		c.Metrics = append(c.Metrics, MetricComparison{name, metrics[name]})
	}
	return c, nil
}

func checkComparable(runs []*Run) (err error) {
	defer core.Wrap(&err, "compare", kind, "")
	if len(runs) < 2 {
		return fmt.Errorf("%w: %d runs: give two or more", azml.ErrInvalid, len(runs))
	}
	seen := map[string]bool{}
	for _, r := range runs {
		if seen[r.id] {
			return fmt.Errorf("%w: run %q is given twice", azml.ErrInvalid, r.id)
		}
		seen[r.id] = true
	}
	return nil
}

// turn makes of the things of a run a run of the things.
func turn[T any](byName map[string]map[string]T, id string, things map[string]T) {
	for name, value := range things {
		if byName[name] == nil {
			byName[name] = map[string]T{}
		}
		byName[name][id] = value
	}
}

func labelComparisons(byName map[string]map[string]string, runs int) []LabelComparison {
	all := []LabelComparison{}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		c := LabelComparison{Name: name, Values: byName[name], Differs: len(byName[name]) < runs}
		first := true
		var value string
		for _, v := range c.Values {
			c.Differs = c.Differs || !first && v != value
			first, value = false, v
		}
		all = append(all, c)
	}
	return all
}

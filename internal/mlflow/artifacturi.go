package mlflow

import (
	"maps"
	"slices"
	"strings"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/record"
)

// runSchema is what clients can ask of runs and order them by: beside what the
// index has, the URI of a run's artifacts, which is made of its experiment's and
// its ID.
var runSchema = func() filter.Schema {
	schema := index.Runs.Schema
	schema.Attributes = maps.Clone(schema.Attributes)
	schema.Attributes["artifact_uri"] = filter.Text
	return schema
}()

// byURI puts the experiment and the run's ID in the place of the URI that is
// ordered by: of one experiment, that is the same order.
func byURI(order []filter.Order) (out []filter.Order) {
	for _, o := range order {
		if o.Field != runSchema.Attribute("artifact_uri") {
			out = append(out, o)
			continue
		}
		for _, key := range []string{"experiment", "run_id"} {
			out = append(out, filter.Order{Field: runSchema.Attribute(key), Desc: o.Desc})
		}
	}
	return out
}

// byArtifactURI puts comparisons of experiments and IDs in the place of those of
// URIs, so that they are true of the same runs of these experiments.
func byArtifactURI(e filter.Expr, experiments map[string]core.Stored[record.Experiment]) filter.Expr {
	out, _ := rewrite(e, func(cmp filter.Comparison) (filter.Expr, error) { // which never fails
		if cmp.Field != runSchema.Attribute("artifact_uri") {
			return cmp, nil
		}
		any := filter.Or{never, never} // two terms at least
		for _, name := range slices.Sorted(maps.Keys(experiments)) {
			for _, id := range uriComparisons(cmp, artifactLocation(experiments[name].Value)+"/") {
				any = append(any, filter.And{runsOf([]filter.Value{{Text: name}}), id})
			}
		}
		return any, nil
	})
	return out
}

// uriComparisons gives comparisons of a run's ID, one of which is true when that
// of its URI is, which has the ID behind before.
func uriComparisons(cmp filter.Comparison, before string) (of []filter.Expr) {
	id := filter.Comparison{Field: runSchema.Attribute("run_id"), Op: cmp.Op}
	switch cmp.Op {
	case filter.IsNull:
		return nil
	case filter.LikeOp, filter.ILikeOp:
		for _, pattern := range filter.Between(cmp.Values[0].Text, before, artifactsFolder, cmp.Op == filter.ILikeOp) {
			id.Values = []filter.Value{{Text: pattern}}
			of = append(of, id)
		}
		return of
	}
	for _, v := range cmp.Values { // of = or IN
		if rest, ok := strings.CutPrefix(v.Text, before); ok {
			if rest, ok = strings.CutSuffix(rest, artifactsFolder); ok {
				id.Values = append(id.Values, filter.Value{Text: rest})
			}
		}
	}
	if len(id.Values) > 0 {
		of = append(of, id)
	}
	return of
}

package mlflow

import (
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/record"
)

// inWords puts a filter of a client into the workspace's own words: where it
// asks for MLflow's statuses, names and IDs, these go by others.
func inWords(kind *index.Kind, e filter.Expr) filter.Expr {
	switch e := e.(type) {
	case filter.And:
		return filter.And(eachInWords(kind, e))
	case filter.Or:
		return filter.Or(eachInWords(kind, e))
	case filter.Not:
		return filter.Not{Term: inWords(kind, e.Term)}
	case filter.Comparison:
		switch {
		case kind == index.Experiments:
			e.Field = experimentField(e.Field)
		case kind == index.Runs && e.Field == index.Runs.Schema.Attribute("status"):
			return statusInWords(e)
		}
		return e
	}
	return e
}

func eachInWords(kind *index.Kind, terms []filter.Expr) []filter.Expr {
	out := make([]filter.Expr, len(terms))
	for i, term := range terms {
		out[i] = inWords(kind, term)
	}
	return out
}

// experimentField gives the field of an experiment that a client means: what it
// calls a name is the title, and the ID is the name.
func experimentField(f filter.Field) filter.Field {
	switch f {
	case index.Experiments.Schema.Attribute("name"):
		return index.Experiments.Schema.Attribute("title")
	case index.Experiments.Schema.Attribute("experiment_id"):
		return index.Experiments.Schema.Attribute("name")
	}
	return f
}

// statusInWords asks for the statuses that MLflow shows so that the comparison
// is true of them.
func statusInWords(e filter.Comparison) filter.Expr {
	in := filter.Comparison{Field: e.Field, Op: filter.In}
	for _, status := range record.Statuses() {
		shown := filter.Row{e.Field: {Text: string(statusView(status))}}
		if filter.Match(e, shown) {
			in.Values = append(in.Values, filter.Value{Text: string(status)})
		}
	}
	if len(in.Values) == 0 {
		return never
	}
	return in
}

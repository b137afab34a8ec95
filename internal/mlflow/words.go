package mlflow

import (
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/record"
)

// inWords puts a filter of a client into the workspace's own words: where it
// asks for MLflow's statuses, names and IDs, these go by others.
func inWords(kind *index.Kind, e filter.Expr) filter.Expr {
	out, _ := rewrite(e, func(cmp filter.Comparison) (filter.Expr, error) { // which never fails
		switch {
		case kind == index.Experiments:
			cmp.Field = experimentField(cmp.Field)
		case kind == index.Runs && cmp.Field == index.Runs.Schema.Attribute("status"):
			return statusInWords(cmp), nil
		}
		return cmp, nil
	})
	return out
}

// rewrite puts other expressions in the place of comparisons.
func rewrite(e filter.Expr, with func(filter.Comparison) (filter.Expr, error)) (filter.Expr, error) {
	terms := func(old []filter.Expr) ([]filter.Expr, error) {
		list := make([]filter.Expr, len(old))
		for i, term := range old {
			var err error
			if list[i], err = rewrite(term, with); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	switch e := e.(type) {
	case filter.And:
		list, err := terms(e)
		return filter.And(list), err
	case filter.Or:
		list, err := terms(e)
		return filter.Or(list), err
	case filter.Not:
		term, err := rewrite(e.Term, with)
		return filter.Not{Term: term}, err
	case filter.Comparison:
		return with(e)
	}
	return e, nil
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

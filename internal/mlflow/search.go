package mlflow

import (
	"context"
	"slices"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/metrics"
	"github.com/azml-go/azml/internal/record"
)

// Pages of searches, MLflow's.
const (
	usualPage = 1000
	maxPage   = 50_000
)

// pageSize gives the size of a page that was asked for.
func pageSize(asked *int64) (int, error) {
	switch {
	case asked == nil:
		return usualPage, nil
	case *asked < 1 || *asked > maxPage:
		return 0, invalid("Invalid value %d for parameter 'max_results' supplied. It must be at least 1 and at most %d", *asked, maxPage)
	}
	return int(*asked), nil
}

// orders reads the keys to order by, standard when there are none. Empty ones, as
// a query string may have them, are left out.
func orders(schema *filter.Schema, keys []string, standard ...string) ([]filter.Order, error) {
	keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return key == "" })
	if len(keys) == 0 {
		keys = standard
	}
	return schema.ParseOrder(keys...)
}

// searchRuns finds runs of the named experiments. Their latest metrics are what
// the index knows: the last that were logged.
func (c call) searchRuns(ctx context.Context, req *searchRuns) (*found, error) {
	order, err := orders(&runSchema, req.OrderBy)
	if err != nil {
		return nil, err
	}
	experiments, reached, err := c.searched(ctx, req.ExperimentIDs, req.RunViewType)
	if err != nil {
		return nil, err
	}
	asked, err := runSchema.Parse(req.Filter)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(wide(req.MaxResults))
	if err != nil {
		return nil, err
	}
	q := index.Query{Kind: index.Runs, Order: byURI(order), Token: req.PageToken, Size: size,
		Filter: filter.All(reached, c.scope.runs(), inWords(index.Runs, byArtifactURI(asked, experiments)))}
	return c.found(ctx, "runs", q, shown{
		of: func(name string) (backend.ETag, error) { return experiments[name].ETag, nil },
		message: func(hit index.Hit) (any, string, error) {
			r, err := core.Restore[record.Run](hit.Key, hit.Record, hit.ETag)
			if err != nil {
				return nil, "", err
			}
			view, err := c.foundView(ctx, r.Value, experiments[r.Value.Experiment].Value, hit.Metrics)
			return view, r.Value.Experiment, err
		},
	})
}

// wide widens an int32 that may be missing.
func wide(n *int32) *int64 {
	if n == nil {
		return nil
	}
	return new(int64(*n))
}

// searched gives the experiments of those IDs that there are, by name, and a
// filter for those of their runs that the view shows.
func (c call) searched(ctx context.Context, ids []string, view viewType) (map[string]core.Stored[record.Experiment], filter.Expr, error) {
	experiments := map[string]core.Stored[record.Experiment]{}
	var active, archived []filter.Value
	for _, id := range ids {
		if id == "" { // which is the default elsewhere, for runs that name none
			return nil, nil, invalid("Invalid experiment ID ''. Leave out what is no experiment")
		}
		e, err := c.experiment(ctx, id)
		if asNotFound(err) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		name := e.Value.Name
		if _, there := experiments[name]; there {
			continue
		}
		experiments[name] = e
		if e.Value.Archived.IsZero() {
			active = append(active, filter.Value{Text: name})
		} else {
			archived = append(archived, filter.Value{Text: name})
		}
	}
	there := filter.Expr(filter.Comparison{Field: index.Runs.Schema.Attribute("delete_time"), Op: filter.IsNull})
	switch view {
	case viewAll:
		return experiments, runsOf(append(active, archived...)), nil
	case deletedOnly:
		return experiments, filter.Or{runsOf(archived), filter.And{runsOf(active), filter.Not{Term: there}}}, nil
	}
	return experiments, filter.And{runsOf(active), there}, nil
}

// runsOf gives the filter for the runs of these experiments.
func runsOf(names []filter.Value) filter.Expr {
	if len(names) == 0 {
		return never
	}
	return filter.Comparison{Field: index.Runs.Schema.Attribute("experiment"), Op: filter.In, Values: names}
}

// never is true of nothing: no run is without an ID.
var never filter.Expr = filter.Comparison{Field: index.Runs.Schema.Attribute("run_id"), Op: filter.IsNull}

// foundView gives a run as clients see it, with the metrics that a search knows.
func (c call) foundView(ctx context.Context, r record.Run, e record.Experiment, sums index.Summaries) (runMessage, error) {
	last := lastPoints{}
	for name, s := range sums {
		if s.Number && s.Kind == metrics.KindScalar {
			last[name] = metric{Key: name, Value: double(s.Last), Timestamp: s.Time.UnixMilli(), Step: s.Step}
		}
	}
	return c.view(ctx, r, e, last.list())
}

// searchExperiments finds experiments, the last created first.
func (c call) searchExperiments(ctx context.Context, req *searchExperiments) (*found, error) {
	c.storeDefault(ctx)
	order, err := orders(&index.Experiments.Schema, req.OrderBy, "creation_time DESC")
	if err != nil {
		return nil, err
	}
	for i := range order {
		order[i].Field = experimentField(order[i].Field)
	}
	var reached filter.Expr = filter.Comparison{Field: index.Experiments.Schema.Attribute("archive_time"), Op: filter.IsNull}
	switch req.ViewType {
	case viewAll:
		reached = nil
	case deletedOnly:
		reached = filter.Not{Term: reached}
	}
	asked, err := index.Experiments.Schema.Parse(req.Filter)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(req.MaxResults)
	if err != nil {
		return nil, err
	}
	q := index.Query{Kind: index.Experiments, Order: order, Token: req.PageToken, Size: size,
		Filter: filter.All(reached, c.scope.experiments(), inWords(index.Experiments, asked))}
	return c.found(ctx, "experiments", q, shown{message: func(hit index.Hit) (any, string, error) {
		e, err := core.Restore[record.Experiment](hit.Key, hit.Record, hit.ETag)
		return experimentView(e.Value), "", err
	}})
}

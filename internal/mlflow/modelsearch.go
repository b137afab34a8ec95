package mlflow

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/registry"
)

// The sizes of pages of the registry's searches.
const (
	usualModels   = 100
	maxModels     = 1000
	usualVersions = 10_000
	maxVersions   = 200_000
	pageVersions  = 10_000 // what a page has at most, whatever was asked for
)

// find searches the index.
func (c call) find(ctx context.Context, q index.Query) (*index.Page, error) {
	x, err := index.Of(c.core)
	if err != nil {
		return nil, err
	}
	return x.Search(ctx, q)
}

// registrySize gives the size of a page that was asked for.
func registrySize(asked *int64, usual, most int64) (int, error) {
	switch {
	case asked == nil:
		return int(usual), nil
	case *asked < 1:
		return 0, invalid("Invalid value for max_results. It must be a positive integer, but got %d", *asked)
	case *asked > most:
		return 0, invalid("Invalid value for request parameter max_results. It must be at most %d, but got value %d", most, *asked)
	}
	return int(*asked), nil
}

// registryQuery reads a search of the registry. Prompts are not found unless
// they are asked for.
func registryQuery(kind *index.Kind, req *searchRegistered) (index.Query, error) {
	q := index.Query{Kind: kind, Token: req.PageToken}
	e, err := kind.Schema.Parse(req.Filter)
	if err != nil {
		return q, err
	}
	isPrompt := filter.Comparison{Field: filter.Field{Entity: filter.Tag, Key: promptTag, Type: filter.Text}, Op: filter.Equal, Values: []filter.Value{{Text: "true"}}}
	if q.Filter = e; !asksForPrompts(e, isPrompt) {
		missing := filter.Comparison{Field: isPrompt.Field, Op: filter.IsNull}
		q.Filter = filter.All(e, filter.Or{missing, filter.Not{Term: isPrompt}})
	}
	q.Order, err = kind.Schema.ParseOrder(req.OrderBy...)
	return q, err
}

func asksForPrompts(e filter.Expr, isPrompt filter.Comparison) bool {
	switch e := e.(type) {
	case filter.And:
		return slices.ContainsFunc(e, func(term filter.Expr) bool { return asksForPrompts(term, isPrompt) })
	case filter.Comparison:
		return e.String() == isPrompt.String()
	}
	return false
}

func (c call) searchRegisteredModels(ctx context.Context, req *searchRegistered) (*searchRegisteredModelsResponse, error) {
	size, err := registrySize(req.MaxResults, usualModels, maxModels)
	if err != nil {
		return nil, err
	}
	q, err := registryQuery(index.RegisteredModels, req)
	if err != nil {
		return nil, err
	}
	q.Size = size
	page, err := c.find(ctx, q)
	if err != nil {
		return nil, err
	}
	resp := &searchRegisteredModelsResponse{NextPageToken: page.Next}
	for _, hit := range page.Hits {
		m, err := core.Restore[record.RegisteredModel](hit.Key, hit.Record, hit.ETag)
		view, err := c.registeredModelView(ctx, m.Value, err)
		if err != nil {
			return nil, err
		}
		resp.RegisteredModels = append(resp.RegisteredModels, view.RegisteredModel)
	}
	return resp, nil
}

// newestFirst is MLflow's order of versions.
var newestFirst = []string{"last_updated_timestamp DESC", "name ASC", "version_number DESC"}

func (c call) searchModelVersions(ctx context.Context, req *searchRegistered) (*found, error) {
	size, err := registrySize(req.MaxResults, usualVersions, maxVersions)
	if err != nil {
		return nil, err
	}
	if len(req.OrderBy) == 0 {
		req.OrderBy = newestFirst
	}
	q, err := registryQuery(index.Models, req)
	if err != nil {
		return nil, err
	}
	if q.Filter, err = c.byOwnName(ctx, q.Filter); err != nil {
		return nil, err
	}
	q.Size = min(size, pageVersions)
	models := once(func(name string) (core.Stored[record.RegisteredModel], error) {
		m, err := registry.Find(ctx, c.core, name)
		if asNotFound(err) { // deleted meanwhile: it is shown as it was
			err = nil
		}
		if m.Value.Name == "" {
			m.Value.Name = name
		}
		return m, err
	})
	return c.found(ctx, "model_versions", q, shown{
		of: func(name string) (backend.ETag, error) {
			m, err := models(name)
			return m.ETag, err
		},
		message: func(hit index.Hit) (any, string, error) {
			v, err := core.Restore[record.Model](hit.Key, hit.Record, hit.ETag)
			if err != nil {
				return nil, "", err
			}
			m, err := models(v.Value.Name)
			return modelVersionView(m.Value, v.Value), v.Value.Name, err
		},
	})
}

// byOwnName puts the names that models have in the workspace in the place of
// those that clients see, which only the models as wholes know.
func (c call) byOwnName(ctx context.Context, e filter.Expr) (filter.Expr, error) {
	return rewrite(e, func(cmp filter.Comparison) (filter.Expr, error) {
		if cmp.Field != index.Models.Schema.Attribute("name") || cmp.Op == filter.IsNull {
			return cmp, nil
		}
		if cmp.Op == filter.Equal {
			m, err := c.registeredModel(ctx, cmp.Values[0].Text)
			if err == nil {
				cmp.Values = []filter.Value{{Text: m.Value.Name}}
			} else if code := asFailure(err).code; code != codeNotFound && code != codeInvalidParameter {
				return nil, err
			} else {
				cmp.Values = []filter.Value{{Text: "/"}} // no model has that name
			}
			return cmp, nil
		}
		q := index.Query{Kind: index.RegisteredModels, Filter: cmp, Size: pageVersions}
		own := filter.Comparison{Field: cmp.Field, Op: filter.In}
		for {
			page, err := c.find(ctx, q)
			if err != nil {
				return nil, err
			}
			for _, hit := range page.Hits {
				own.Values = append(own.Values, filter.Value{Text: hit.ID})
			}
			if q.Token = page.Next; q.Token == "" {
				break
			}
		}
		if len(own.Values) == 0 {
			own.Values = []filter.Value{{Text: "/"}}
		}
		return own, nil
	})
}

// loggedModelsSize gives the size of a page. MLflow takes 0 for none, and has no greatest
// one.
func loggedModelsSize(asked *int32) (int, error) {
	const usual = 50
	if asked == nil || *asked == 0 {
		return usual, nil
	}
	return registrySize(new(min(int64(*asked), maxPage)), usual, maxPage)
}

func (c call) searchLoggedModels(ctx context.Context, req *searchLoggedModels) (*found, error) {
	size, err := loggedModelsSize(req.MaxResults)
	if err != nil {
		return nil, err
	}
	q, err := loggedModelQuery(req)
	if err != nil {
		return nil, err
	}
	if err := c.scope.checkExperiments(req.ExperimentIDs); err != nil {
		return nil, err
	}
	q.Size, q.Filter = size, filter.All(q.Filter, c.scope.shownModels())
	experiments := once(func(name string) (core.Stored[record.Experiment], error) { return c.experiment(ctx, name) })
	return c.found(ctx, "models", q, shown{
		of: func(name string) (backend.ETag, error) {
			e, err := experiments(name)
			return e.ETag, err
		},
		message: func(hit index.Hit) (any, string, error) {
			m, err := core.Restore[record.LoggedModel](hit.Key, hit.Record, hit.ETag)
			if err != nil {
				return nil, "", err
			}
			e, err := experiments(m.Value.Experiment)
			return loggedModelView(m.Value, e.Value, foundPoints(m.Value.ID, hit.Metrics)), m.Value.Experiment, err
		},
	})
}

// foundPoints gives the latest points of a logged model that a search knows.
func foundPoints(id string, sums index.Summaries) []metric {
	var points []metric
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		if sum := sums[name]; sum.Number {
			points = append(points, modelPoint(id, name, sum.Last, sum.Step, sum.Time))
		}
	}
	return points
}

// maxSearchedExperiments bounds the experiments of a search.
const maxSearchedExperiments = 10_000

// loggedModelQuery reads a search of logged models. With datasets, a metric is
// what was measured on one of them.
func loggedModelQuery(req *searchLoggedModels) (index.Query, error) {
	q := index.Query{Kind: index.LoggedModels, Token: req.PageToken}
	schema := &index.LoggedModels.Schema
	if len(req.ExperimentIDs) == 0 {
		return q, missing("experiment_ids")
	}
	if len(req.ExperimentIDs) > maxSearchedExperiments {
		return q, invalid("A search can look into at most %d experiments", maxSearchedExperiments)
	}
	e, err := schema.Parse(req.Filter)
	if err != nil {
		return q, err
	}
	hasMetric := false
	e, err = rewrite(e, func(cmp filter.Comparison) (filter.Expr, error) {
		if cmp.Field == schema.Attribute("status") {
			return byStatus(cmp)
		}
		if cmp.Field.Entity != filter.Metric || len(req.Datasets) == 0 {
			return cmp, nil
		}
		hasMetric = true
		return onDatasets(cmp, req.Datasets), nil
	})
	if err != nil {
		return q, err
	}
	if len(req.Datasets) > 0 && !hasMetric {
		measured := onDatasets(filter.Comparison{Field: filter.Field{Entity: filter.Metric, Type: filter.Number}, Op: filter.IsNull}, req.Datasets)
		e = filter.All(e, filter.Not{Term: measured})
	}
	in := filter.Comparison{Field: schema.Attribute("experiment"), Op: filter.In}
	for _, id := range req.ExperimentIDs {
		in.Values = append(in.Values, filter.Value{Text: id})
	}
	q.Filter = filter.All(in, e)
	q.Order, err = loggedModelOrders(schema, req)
	return q, err
}

// byStatus puts our names of statuses in the place of MLflow's.
func byStatus(cmp filter.Comparison) (filter.Expr, error) {
	if cmp.Op != filter.Equal && cmp.Op != filter.In {
		return nil, invalid("Invalid comparison operator for status: %s", cmp.Op)
	}
	values := slices.Clone(cmp.Values)
	for i, v := range values {
		switch strings.TrimPrefix(v.Text, "LOGGED_MODEL_") {
		case "PENDING":
			values[i].Text = record.LoggedModelPending
		case "READY":
			values[i].Text = record.LoggedModelReady
		case "FAILED", "UPLOAD_FAILED":
			values[i].Text = record.LoggedModelUploadFailed
		default:
			return nil, invalid("Unknown model status in filter: '%s'", cut(v.Text, maxKey))
		}
	}
	cmp.Values = values
	return cmp, nil
}

// onDatasets restricts a comparison of a metric to what was measured on one of
// the datasets.
func onDatasets(cmp filter.Comparison, datasets []searchedDataset) filter.Expr {
	var any []filter.Expr
	for _, d := range datasets {
		on := cmp
		on.Field = index.MetricOn(cmp.Field.Key, d.DatasetName, d.DatasetDigest)
		any = append(any, on)
	}
	switch {
	case len(any) == 1:
		return any[0]
	case cmp.Op == filter.IsNull:
		return filter.And(any)
	}
	return filter.Or(any)
}

// orderMetric gives the metric that is ordered by: on the dataset that the order
// names, or else on the one that is searched for.
func orderMetric(key string, o loggedModelOrder, searched []searchedDataset) filter.Field {
	switch {
	case o.DatasetName != "":
		return index.MetricOn(key, o.DatasetName, o.DatasetDigest)
	case len(searched) == 1:
		return index.MetricOn(key, searched[0].DatasetName, searched[0].DatasetDigest)
	}
	return filter.Field{Entity: filter.Metric, Key: key, Type: filter.Number}
}

func loggedModelOrders(schema *filter.Schema, req *searchLoggedModels) ([]filter.Order, error) {
	var orders []filter.Order
	add := func(o filter.Order) {
		if !slices.ContainsFunc(orders, func(have filter.Order) bool { return have.Field == o.Field }) {
			orders = append(orders, o)
		}
	}
	for _, o := range req.OrderBy {
		desc := o.Ascending != nil && !*o.Ascending
		if key, isMetric := strings.CutPrefix(o.FieldName, "metrics."); isMetric {
			add(filter.Order{Field: orderMetric(strings.Trim(key, "`"), o, req.Datasets), Desc: desc})
			continue
		}
		read, err := schema.ParseOrder(o.FieldName)
		if err != nil {
			return nil, invalid("Invalid order by field name: %s", cut(o.FieldName, maxKey))
		}
		add(filter.Order{Field: read[0].Field, Desc: desc})
	}
	const most = 16
	if len(orders) > most {
		return nil, invalid("order_by has %d fields, at most %d can be used", len(orders), most)
	}
	for _, o := range schema.Order {
		add(o)
	}
	return orders, nil
}

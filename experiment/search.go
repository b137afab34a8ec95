package experiment

import (
	"context"
	"iter"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/record"
)

// SearchOptions are the options of Client.Search.
type SearchOptions struct {
	// View says whether archived experiments are found; they are not by default.
	View View
	// OrderBy are keys to order by, such as "creation_time DESC". Experiments
	// without a value come last in both directions. Then, and by default, they
	// go by name.
	OrderBy []string
}

// Search yields the experiments of which the filter is true, such as "name LIKE
// 'churn%' AND tags.team = 'risk'"; an empty one finds all. docs/search.md
// describes the language. It sees everything that was done when it began.
// Errors: ErrInvalid, saying where the filter or an order is wrong.
func (c *Client) Search(ctx context.Context, filter string, opts *SearchOptions) iter.Seq2[*Experiment, error] {
	return index.All(ctx, c.h, opts.request(filter), c.found)
}

// SearchPage gives one page of Search: up to size experiments after those of the
// page that gave token, and the token of the next page, empty at the end.
// Errors: ErrInvalid, also for a token of another filter or order.
func (c *Client) SearchPage(ctx context.Context, filter, token string, size int, opts *SearchOptions) (_ []*Experiment, next string, err error) {
	return index.Some(ctx, c.h, opts.request(filter), token, size, c.found)
}

func (o *SearchOptions) request(text string) index.Request {
	r := index.Request{Kind: index.Experiments, Filter: text}
	view := ActiveOnly
	if o != nil {
		r.OrderBy, view = o.OrderBy, o.View
	}
	active := filter.Comparison{Field: index.Experiments.Schema.Attribute("archive_time"), Op: filter.IsNull}
	switch view {
	case ActiveOnly:
		r.Also = active
	case ArchivedOnly:
		r.Also = filter.Not{Term: active}
	}
	return r
}

func (c *Client) found(hit index.Hit) (*Experiment, error) {
	stored, err := core.Restore[record.Experiment](hit.Key, hit.Record, hit.ETag)
	if err != nil {
		return nil, err
	}
	return wrap(c.h, stored), nil
}

package model

import (
	"context"
	"iter"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/record"
)

// SearchOptions are the options of Client.Search.
type SearchOptions struct {
	// OrderBy are keys to order by, such as "creation_timestamp DESC". Models
	// without a value come last in both directions. Then, and by default, they
	// go by name, the newest version first.
	OrderBy []string
}

// Search yields the versions of models of which the filter is true, such as
// "name = 'churn' AND tags.stage != 'old'"; an empty one finds all. A tag that is
// missing is unequal to everything, as in MLflow's registry. docs/search.md
// describes the language. It sees everything that was done when it began.
// Errors: ErrInvalid, saying where the filter or an order is wrong.
func (c *Client) Search(ctx context.Context, filter string, opts *SearchOptions) iter.Seq2[*Model, error] {
	return index.All(ctx, c.h, opts.request(filter), c.found)
}

// SearchPage gives one page of Search: up to size versions after those of the
// page that gave token, and the token of the next page, empty at the end.
// Errors: ErrInvalid, also for a token of another filter or order.
func (c *Client) SearchPage(ctx context.Context, filter, token string, size int, opts *SearchOptions) (_ []*Model, next string, err error) {
	return index.Some(ctx, c.h, opts.request(filter), token, size, c.found)
}

func (o *SearchOptions) request(text string) index.Request {
	r := index.Request{Kind: index.Models, Filter: text}
	if o != nil {
		r.OrderBy = o.OrderBy
	}
	return r
}

func (c *Client) found(hit index.Hit) (*Model, error) {
	stored, err := core.Restore[record.Model](hit.Key, hit.Record, hit.ETag)
	if err != nil {
		return nil, err
	}
	return wrap(c.h, stored), nil
}

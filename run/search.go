package run

import (
	"context"
	"iter"
	"time"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
	"github.com/azml-go/azml/internal/index"
	"github.com/azml-go/azml/internal/record"
)

// SearchOptions are the options of Client.Search.
type SearchOptions struct {
	// Experiments keeps the runs of these experiments; empty means all.
	Experiments []string
	// OrderBy are keys to order by, such as "metrics.loss" or "end_time DESC".
	// Runs without a value come last in both directions, right after NaN. Then,
	// and by default, the newest come first, and at last IDs decide.
	OrderBy []string
	// Deleted finds runs that an MLflow client has deleted, too. By default they
	// are left out.
	Deleted bool
}

// Search yields the runs of which the filter is true, such as
//
//	metrics.acc > 0.9 AND (params.opt = 'adam' OR tags.team LIKE 'r%')
//
// docs/search.md describes the language; an empty filter finds all runs. It sees
// everything that was done when it began, by any process. Runs whose process is
// gone become Failed on the way. The index that it uses is kept on this machine
// and brought up to date first: the first search in a workspace reads all records.
// A record that is damaged is not found, and named in the log. Errors: ErrInvalid, saying where the filter or
// an order is wrong.
func (c *Client) Search(ctx context.Context, filter string, opts *SearchOptions) iter.Seq2[*Run, error] {
	return index.All(ctx, c.h, opts.request(filter), c.found)
}

// SearchPage gives one page of Search: up to size runs after those of the page
// that gave token, and the token of the next page, empty at the end. A run that
// does not change meanwhile is in exactly one page. Errors: ErrInvalid, also for
// a token of another filter or order.
func (c *Client) SearchPage(ctx context.Context, filter, token string, size int, opts *SearchOptions) (_ []*Run, next string, err error) {
	return index.Some(ctx, c.h, opts.request(filter), token, size, c.found)
}

func (o *SearchOptions) request(text string) index.Request {
	r := index.Request{Kind: index.Runs, Filter: text}
	if o == nil {
		o = &SearchOptions{}
	}
	r.OrderBy = o.OrderBy
	if !o.Deleted {
		r.Also = filter.Comparison{Field: index.Runs.Schema.Attribute("delete_time"), Op: filter.IsNull}
	}
	if len(o.Experiments) > 0 {
		in := filter.Comparison{Field: index.Runs.Schema.Attribute("experiment"), Op: filter.In}
		for _, name := range o.Experiments {
			in.Values = append(in.Values, filter.Value{Text: name})
		}
		r.Also = filter.All(r.Also, in)
	}
	return r
}

func (c *Client) found(hit index.Hit) (*Run, error) {
	stored, err := core.Restore[record.Run](hit.Key, hit.Record, hit.ETag)
	if err != nil {
		return nil, err
	}
	r := Wrap(c.h, stored)
	r.indexed = hit.Metrics
	return r, nil
}

// IndexedMetric is what a search knows of a metric.
type IndexedMetric struct {
	// Kind is the kind of the last value.
	Kind MetricKind
	// Count is the number of logged values.
	Count int64
	// Numbers is how many values are numbers other than NaN.
	Numbers int64
	// NaNs is how many values are NaN.
	NaNs int64
	// Min is the least number, NaN left out; 0 when Numbers is.
	Min float64
	// Max is the greatest number, NaN left out; 0 when Numbers is.
	Max float64
	// IsNumber says that the last value is a number, which filters and orders
	// go by.
	IsNumber bool
	// Last is the last value when IsNumber is set.
	Last float64
	// Step is the last value's step.
	Step int64
	// Time is when the last value was observed.
	Time time.Time
}

// Indexed gives, of a run that a search has found, what was known of its
// metrics then, by name. For other runs it is nil: Summaries reads the values.
func (r *Run) Indexed() map[string]IndexedMetric {
	if r.indexed == nil {
		return nil
	}
	out := make(map[string]IndexedMetric, len(r.indexed))
	for name, s := range r.indexed {
		out[name] = IndexedMetric{Kind: MetricKind(s.Kind), Count: s.Count, Numbers: s.Numbers, NaNs: s.NaNs, Min: s.Min, Max: s.Max,
			IsNumber: s.Number, Last: s.Last, Step: s.Step, Time: s.Time}
	}
	return out
}

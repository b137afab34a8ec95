package index

import (
	"context"
	"iter"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/filter"
)

// Request is a search as a user asks for it.
type Request struct {
	// Kind is the kind of things wanted.
	Kind *Kind
	// Filter is a filter in the language of package filter.
	Filter string
	// OrderBy are keys to order by.
	OrderBy []string
	// Also must be true, too; nil adds nothing.
	Also filter.Expr
}

// query parses the request. Errors: ErrInvalid.
func (r Request) query() (Query, error) {
	e, err := r.Kind.Schema.Parse(r.Filter)
	if err != nil {
		return Query{}, err
	}
	order, err := r.Kind.Schema.ParseOrder(r.OrderBy...)
	return Query{Kind: r.Kind, Filter: filter.All(r.Also, e), Order: order}, err
}

// The sizes of the pages in which All reads: the first one is soon there.
const (
	firstPage = 100
	laterPage = 1000
)

// All yields everything that is found, as wrap makes it of a hit. It is as of
// its beginning: what is changed while it is ranged over may be found as it was
// before or after.
func All[T any](ctx context.Context, h core.Handle, r Request, wrap func(Hit) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		err := all(ctx, h, r, func(hit Hit) (bool, error) {
			found, err := wrap(hit)
			return err == nil && yield(found, nil), err
		})
		if core.Wrap(&err, "search", r.Kind.name, ""); err != nil {
			var none T
			yield(none, err)
		}
	}
}

func all(ctx context.Context, h core.Handle, r Request, give func(Hit) (more bool, err error)) error {
	q, err := r.query()
	if err != nil {
		return err
	}
	x, err := Of(h)
	if err != nil {
		return err
	}
	for q.Size = firstPage; ; q.Size, q.Stale = laterPage, true {
		page, err := onePage(ctx, h, x, q)
		if err != nil {
			return err
		}
		for _, hit := range page.Hits {
			if more, err := give(hit); !more {
				return err
			}
		}
		if q.Token = page.Next; q.Token == "" {
			return nil
		}
	}
}

// onePage reads a page as an operation of its own: the range goes on for as long
// as who ranges takes.
func onePage(ctx context.Context, h core.Handle, x *Index, q Query) (_ *Page, err error) {
	defer h.Operation(&ctx, &err, "search", q.Kind.name, "")()
	return x.Search(ctx, q)
}

// Some gives one page of what is found, see Index.Search.
func Some[T any](ctx context.Context, h core.Handle, r Request, token string, size int, wrap func(Hit) (T, error)) (found []T, next string, err error) {
	defer h.Operation(&ctx, &err, "search", r.Kind.name, "")()
	q, err := r.query()
	if err != nil {
		return nil, "", err
	}
	x, err := Of(h)
	if err != nil {
		return nil, "", err
	}
	q.Token, q.Size = token, size
	page, err := x.Search(ctx, q)
	if err != nil {
		return nil, "", err
	}
	for _, hit := range page.Hits {
		one, err := wrap(hit)
		if err != nil {
			return nil, "", err
		}
		found = append(found, one)
	}
	return found, page.Next, nil
}

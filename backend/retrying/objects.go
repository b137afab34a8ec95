package retrying

import (
	"cmp"
	"context"
	"errors"
	"iter"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Objects is an object store that tries again. It is safe for concurrent use.
type Objects struct {
	inner backend.Objects
	policy
}

var (
	_ backend.Objects    = (*Objects)(nil)
	_ backend.ChangeFeed = (*Objects)(nil)
)

// New makes the calls of inner be tried again. Nil options mean the defaults.
func New(inner backend.Objects, opts *Options) *Objects {
	return &Objects{inner, newPolicy(opts)}
}

// Unwrap gives the store inside, for backend.As.
func (o *Objects) Unwrap() any { return o.inner }

// Get opens the object; its body goes on by itself when it breaks. Errors: as
// the store's; reading the body also gives ErrConflict when the object was
// changed before it could be opened again.
func (o *Objects) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	var object *backend.Object
	err := o.do(ctx, "get", key, func() (err error) {
		object, err = o.inner.Get(ctx, key, opts)
		return err
	})
	if err != nil {
		return nil, err
	}
	left := object.Info.Size - opts.Offset
	if opts.Length > 0 {
		left = min(left, opts.Length)
	}
	b := &body{o: o, ctx: ctx, info: object.Info, r: object.Body, offset: opts.Offset, left: left}
	return &backend.Object{Info: object.Info, Body: b}, nil
}

// Put stores the object, and after a lost answer finds out whether it did. What
// it waits for is not tried again.
func (o *Objects) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	var info backend.Info
	var early error
	watched := *opts
	watched.Before = func() error { early = opts.Wait(); return early }
	lost := false
	err := o.do(ctx, "put", key, func() (err error) {
		info, err = o.inner.Put(ctx, key, content, &watched)
		if early != nil {
			return nil
		}
		met := opts.IfNoneMatch && errors.Is(err, azml.ErrExists) || opts.IfMatch != "" && errors.Is(err, azml.ErrConflict)
		if lost && met {
			info, err = o.ownPut(ctx, key, content, err)
		}
		lost = lost || errors.Is(err, azml.ErrUnavailable)
		return err
	})
	return info, cmp.Or(early, err)
}

// Append adds data at the end, and after a lost answer finds out whether it did.
func (o *Objects) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	var info backend.Info
	lost := false
	err := o.do(ctx, "append to", key, func() (err error) {
		info, err = o.inner.Append(ctx, key, offset, data)
		if lost && errors.Is(err, azml.ErrConflict) {
			info, err = o.ownAppend(ctx, key, offset, data, err)
		}
		lost = lost || errors.Is(err, azml.ErrUnavailable)
		return err
	})
	return info, err
}

// Stat describes the object.
func (o *Objects) Stat(ctx context.Context, key string) (backend.Info, error) {
	var info backend.Info
	err := o.do(ctx, "stat", key, func() (err error) {
		info, err = o.inner.Stat(ctx, key)
		return err
	})
	return info, err
}

// Delete removes the object. After a lost answer an object that is not there
// counts as removed.
func (o *Objects) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	lost := false
	return o.do(ctx, "delete", key, func() error {
		err := o.inner.Delete(ctx, key, opts)
		if lost && errors.Is(err, azml.ErrNotFound) {
			return nil
		}
		lost = lost || errors.Is(err, azml.ErrUnavailable)
		return err
	})
}

// Changes tells what changed, where the store inside can.
func (o *Objects) Changes(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
	feed, ok := backend.As[backend.ChangeFeed](o.inner)
	if !ok {
		return backend.Changes{Lost: true}, nil
	}
	var changes backend.Changes
	err := o.do(ctx, "changes of", opts.Prefix, func() (err error) {
		changes, err = feed.Changes(ctx, cursor, opts)
		return err
	})
	return changes, err
}

// List yields the objects; a list that breaks goes on after the last key.
// Tries are counted anew whenever it got on.
func (o *Objects) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		rest := *opts
		for more := true; more; {
			err := o.do(ctx, "list", opts.Prefix, func() error {
				start := rest.StartAfter
				err := o.listSome(ctx, &rest, yield)
				if more = errors.Is(err, azml.ErrUnavailable) && rest.StartAfter != start; more {
					return nil
				}
				return err
			})
			if err != nil {
				yield(backend.Info{}, err)
			}
		}
	}
}

// listSome yields until the list breaks or ends, and notes how far it came.
func (o *Objects) listSome(ctx context.Context, rest *backend.ListOptions, yield func(backend.Info, error) bool) error {
	opts := *rest
	for info, err := range o.inner.List(ctx, &opts) {
		if err != nil {
			return err
		}
		rest.StartAfter = info.Key
		if !yield(info, nil) {
			break
		}
	}
	return nil
}

package faulty

import (
	"context"
	"io"
	"iter"

	"github.com/azml-go/azml/backend"
)

// Objects is an object store that fails by a plan. It is safe for concurrent
// use; the fates of concurrent calls depend on their order.
type Objects struct {
	*faults
	inner backend.Objects
}

var (
	_ backend.Objects    = (*Objects)(nil)
	_ backend.ChangeFeed = (*Objects)(nil)
)

// New makes inner fail by the plan. A zero plan only counts.
func New(inner backend.Objects, plan Plan) *Objects {
	return &Objects{newFaults(plan), inner}
}

// Secrets makes a secret store fail by the same plan, with common chances,
// counts and stop: the two stores of one process that crashes.
func (o *Objects) Secrets(inner backend.Secrets) *Secrets {
	return &Secrets{o.faults, inner}
}

// Unwrap gives the store inside, for backend.As.
func (o *Objects) Unwrap() any { return o.inner }

// Get opens the object; its body may break.
func (o *Objects) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if err := o.begin(ctx, "get", key, func(c *Counts) { c.Get++ }); err != nil {
		return nil, err
	}
	object, err := o.inner.Get(ctx, key, opts)
	if err != nil {
		return nil, err
	}
	left := object.Info.Size - opts.Offset
	if opts.Length > 0 {
		left = min(left, opts.Length)
	}
	if after, torn := o.tear(left); torn {
		object.Body = &tornBody{object.Body, key, after}
	}
	return object, nil
}

// tornBody breaks after some bytes.
type tornBody struct {
	io.ReadCloser
	key  string
	left int64
}

func (b *tornBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, tornError(b.key)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// Put stores the object, or not, or without saying so.
func (o *Objects) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (info backend.Info, err error) {
	if err = o.begin(ctx, "put", key, func(c *Counts) { c.Put++ }); err != nil {
		return backend.Info{}, err
	}
	if err = o.write("put", key, func() error { info, err = o.inner.Put(ctx, key, content, opts); return err }); err != nil {
		return backend.Info{}, err
	}
	return info, nil
}

// Append adds data, or not, or without saying so.
func (o *Objects) Append(ctx context.Context, key string, offset int64, data []byte) (info backend.Info, err error) {
	if err = o.begin(ctx, "append to", key, func(c *Counts) { c.Append++ }); err != nil {
		return backend.Info{}, err
	}
	if err = o.write("append to", key, func() error { info, err = o.inner.Append(ctx, key, offset, data); return err }); err != nil {
		return backend.Info{}, err
	}
	return info, nil
}

// Stat describes the object.
func (o *Objects) Stat(ctx context.Context, key string) (backend.Info, error) {
	if err := o.begin(ctx, "stat", key, func(c *Counts) { c.Stat++ }); err != nil {
		return backend.Info{}, err
	}
	return o.inner.Stat(ctx, key)
}

// Delete removes the object, or not, or without saying so.
func (o *Objects) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	if err := o.begin(ctx, "delete", key, func(c *Counts) { c.Delete++ }); err != nil {
		return err
	}
	return o.write("delete", key, func() error { return o.inner.Delete(ctx, key, opts) })
}

// Changes tells what changed, where the store inside can, or says that it is
// lost.
func (o *Objects) Changes(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
	if err := o.begin(ctx, "changes of", opts.Prefix, func(c *Counts) { c.Changes++ }); err != nil {
		return backend.Changes{}, err
	}
	feed, ok := backend.As[backend.ChangeFeed](o.inner)
	if _, torn := o.tear(1); torn || !ok {
		return backend.Changes{Lost: true}, nil
	}
	return feed.Changes(ctx, cursor, opts)
}

// List yields the objects; it may break after up to nine of them.
func (o *Objects) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		if err := o.begin(ctx, "list", opts.Prefix, func(c *Counts) { c.List++ }); err != nil {
			yield(backend.Info{}, err)
			return
		}
		after, torn := o.tear(10)
		for info, err := range o.inner.List(ctx, opts) {
			if torn && after == 0 {
				yield(backend.Info{}, tornError(opts.Prefix))
				return
			}
			after--
			if !yield(info, err) {
				return
			}
		}
	}
}

package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// hooks replace single methods of a store; nil ones are left.
type hooks struct {
	get    func(context.Context, string, *backend.GetOptions) (*backend.Object, error)
	put    func(context.Context, string, backend.Content, *backend.PutOptions) (backend.Info, error)
	append func(context.Context, string, int64, []byte) (backend.Info, error)
	delete func(context.Context, string, *backend.DeleteOptions) error
	list   func(context.Context, *backend.ListOptions) iter.Seq2[backend.Info, error]
	feed   func(context.Context, string, *backend.ChangesOptions) (backend.Changes, error)
	info   func(backend.Info) backend.Info       // changes every description
	key    func(string) string                   // changes every key on its way in
	ctx    func(context.Context) context.Context // changes every context
}

// hooked is a store with hooks.
type hooked struct {
	inner backend.Objects
	hooks
}

func wrapped(inner backend.Objects, h hooks) ObjectsHarness {
	if h.info == nil {
		h.info = func(i backend.Info) backend.Info { return i }
	}
	if h.key == nil {
		h.key = func(k string) string { return k }
	}
	if h.ctx == nil {
		h.ctx = func(ctx context.Context) context.Context { return ctx }
	}
	s := &hooked{inner, h}
	return ObjectsHarness{
		Objects:  s,
		Reopen:   func() (backend.Objects, error) { return s, nil },
		Features: ObjectsFeatures{AppendToPut: true, Changes: true},
	}
}

func (h *hooked) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	get := h.get
	if get == nil {
		get = h.inner.Get
	}
	o, err := get(h.ctx(ctx), h.key(key), opts)
	if err == nil {
		o.Info = h.info(o.Info)
	}
	return o, err
}

func (h *hooked) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	put := h.put
	if put == nil {
		put = h.inner.Put
	}
	info, err := put(h.ctx(ctx), h.key(key), content, opts)
	return h.info(info), err
}

func (h *hooked) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	add := h.append
	if add == nil {
		add = h.inner.Append
	}
	info, err := add(h.ctx(ctx), h.key(key), offset, data)
	return h.info(info), err
}

func (h *hooked) Stat(ctx context.Context, key string) (backend.Info, error) {
	info, err := h.inner.Stat(h.ctx(ctx), h.key(key))
	return h.info(info), err
}

func (h *hooked) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	if h.delete != nil {
		return h.delete(h.ctx(ctx), h.key(key), opts)
	}
	return h.inner.Delete(h.ctx(ctx), h.key(key), opts)
}

func (h *hooked) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	list := h.inner.List
	if h.list != nil {
		list = h.list
	}
	all := list(h.ctx(ctx), opts)
	return func(yield func(backend.Info, error) bool) {
		for info, err := range all {
			if !yield(h.info(info), err) {
				return
			}
		}
	}
}

func (h *hooked) Changes(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
	feed := h.feed
	if feed == nil {
		feed = h.inner.(backend.ChangeFeed).Changes
	}
	return feed(h.ctx(ctx), cursor, opts)
}

// brokenStore is a driver with one mistake, and the group that must find it.
type brokenStore struct {
	name, group string
	hooks       func(inner backend.Objects) hooks
}

func (b brokenStore) open(inner backend.Objects) ObjectsHarness {
	return wrapped(inner, b.hooks(inner))
}

func brokenObjects() []brokenStore {
	return slices.Concat(brokenWrites(), brokenReads(), brokenLists(), brokenKeys(), brokenFeeds())
}

func brokenWrites() []brokenStore {
	return []brokenStore{
		{"ignores IfMatch", "conditional", func(s backend.Objects) hooks {
			return hooks{put: withPut(s, func(o *backend.PutOptions) { o.IfMatch = "" })}
		}},
		{"ignores IfNoneMatch", "conditional", func(s backend.Objects) hooks {
			return hooks{put: withPut(s, func(o *backend.PutOptions) { o.IfNoneMatch = false })}
		}},
		{"ignores Before", "conditional", func(s backend.Objects) hooks {
			return hooks{put: withPut(s, func(o *backend.PutOptions) { o.Before = nil })}
		}},
		{"waits too late", "conditional", func(s backend.Objects) hooks { return hooks{put: putThenWait(s)} }},
		{"checks, then waits", "conditional", func(s backend.Objects) hooks { return hooks{put: checkThenWait(s)} }},
		{"Delete ignores IfMatch", "conditional", func(s backend.Objects) hooks {
			return hooks{delete: func(ctx context.Context, key string, _ *backend.DeleteOptions) error {
				return s.Delete(ctx, key, &backend.DeleteOptions{})
			}}
		}},
		{"Delete of missing gives nil", "conditional", func(s backend.Objects) hooks {
			return hooks{delete: func(ctx context.Context, key string, opts *backend.DeleteOptions) error {
				if err := s.Delete(ctx, key, opts); !errors.Is(err, azml.ErrNotFound) {
					return err
				}
				return nil
			}}
		}},
		{"wrong error class", "conditional", func(s backend.Objects) hooks {
			return hooks{put: func(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
				info, err := s.Put(ctx, key, c, opts)
				if errors.Is(err, azml.ErrExists) {
					err = fmt.Errorf("%w: %v", azml.ErrConflict, err)
				}
				return info, err
			}}
		}},
		{"checks, then writes", "concurrency", func(s backend.Objects) hooks { return hooks{put: putInTwoSteps(s)} }},
		{"loses empty objects", "sizes", func(s backend.Objects) hooks {
			return hooks{put: func(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
				info, err := s.Put(ctx, key, c, opts)
				if err == nil && c.Size() == 0 {
					err = s.Delete(ctx, key, &backend.DeleteOptions{})
				}
				return info, err
			}}
		}},
		{"shows half a write", "reads", func(s backend.Objects) hooks { return hooks{put: putInHalves(s)} }},
		{"append ignores the offset", "append", func(s backend.Objects) hooks {
			return hooks{append: func(ctx context.Context, key string, _ int64, data []byte) (backend.Info, error) {
				info, _ := s.Stat(ctx, key)
				return s.Append(ctx, key, info.Size, data)
			}}
		}},
		{"append writes at the offset", "append", func(s backend.Objects) hooks { return hooks{append: writeAt(s)} }},
		{"append keeps the ETag", "append", func(s backend.Objects) hooks {
			var first sync.Map
			return hooks{info: func(i backend.Info) backend.Info {
				old, _ := first.LoadOrStore(i.Key, i.ETag)
				i.ETag = old.(backend.ETag)
				return i
			}}
		}},
	}
}

func brokenReads() []brokenStore {
	return []brokenStore{
		{"drops ETags", "etags", func(backend.Objects) hooks {
			return hooks{info: func(i backend.Info) backend.Info { i.ETag = ""; return i }}
		}},
		{"reuses ETags", "etags", func(s backend.Objects) hooks { return hooks{info: contentETag(s)} }},
		{"range off by one", "ranges", func(s backend.Objects) hooks {
			return hooks{get: func(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
				o := *opts
				if o.Length > 0 {
					o.Length++
				}
				return s.Get(ctx, key, &o)
			}}
		}},
		{"offset beyond the end is empty", "ranges", func(s backend.Objects) hooks {
			return hooks{get: func(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
				o, err := s.Get(ctx, key, opts)
				if errors.Is(err, azml.ErrInvalid) {
					o, err = s.Get(ctx, key, &backend.GetOptions{})
					o.Body = io.NopCloser(strings.NewReader(""))
				}
				return o, err
			}}
		}},
		{"reads not stable", "reads", func(s backend.Objects) hooks {
			return hooks{get: func(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
				o, err := s.Get(ctx, key, opts)
				if err == nil {
					o.Body = &liveBody{ctx, s, key, *opts}
				}
				return o, err
			}}
		}},
		{"ignores cancellation", "cancellation", func(backend.Objects) hooks { return hooks{ctx: context.WithoutCancel} }},
	}
}

func withPut(s backend.Objects, change func(*backend.PutOptions)) func(context.Context, string, backend.Content, *backend.PutOptions) (backend.Info, error) {
	return func(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
		o := *opts
		change(&o)
		return s.Put(ctx, key, c, &o)
	}
}

// putThenWait writes before it waits, and takes it back when that fails.
func putThenWait(s backend.Objects) func(context.Context, string, backend.Content, *backend.PutOptions) (backend.Info, error) {
	return func(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
		_, old := s.Stat(ctx, key)
		info, err := s.Put(ctx, key, c, &backend.PutOptions{IfNoneMatch: opts.IfNoneMatch, IfMatch: opts.IfMatch})
		if err != nil {
			return info, err
		}
		if err = opts.Wait(); err != nil && old != nil {
			err = errors.Join(err, s.Delete(ctx, key, &backend.DeleteOptions{}))
		}
		return info, err
	}
}

// checkThenWait looks at the condition before it waits only.
func checkThenWait(s backend.Objects) func(context.Context, string, backend.Content, *backend.PutOptions) (backend.Info, error) {
	return func(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
		if opts.Before == nil {
			return s.Put(ctx, key, c, opts)
		}
		info, err := s.Stat(ctx, key)
		switch {
		case opts.IfNoneMatch && err == nil:
			return backend.Info{}, azml.ErrExists
		case opts.IfMatch != "" && (err != nil || info.ETag != opts.IfMatch):
			return backend.Info{}, azml.ErrConflict
		}
		return s.Put(ctx, key, c, &backend.PutOptions{Before: opts.Before})
	}
}

// putInTwoSteps checks the condition and then writes without one.
func putInTwoSteps(s backend.Objects) func(context.Context, string, backend.Content, *backend.PutOptions) (backend.Info, error) {
	return func(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
		info, err := s.Stat(ctx, key)
		switch {
		case opts.IfNoneMatch && err == nil:
			return backend.Info{}, azml.ErrExists
		case opts.IfMatch != "" && (err != nil || info.ETag != opts.IfMatch):
			return backend.Info{}, azml.ErrConflict
		}
		data, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size()+1))
		if err != nil || int64(len(data)) != c.Size() {
			return backend.Info{}, fmt.Errorf("%w: short content", azml.ErrInvalid)
		}
		pause()
		return s.Put(ctx, key, bytes.NewReader(data), &backend.PutOptions{})
	}
}

// putInHalves writes a half before it reads the rest.
func putInHalves(s backend.Objects) func(context.Context, string, backend.Content, *backend.PutOptions) (backend.Info, error) {
	return func(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
		if c.Size() < 1000 || opts.IfNoneMatch || opts.IfMatch != "" {
			return s.Put(ctx, key, c, opts)
		}
		half := io.NewSectionReader(c, 0, c.Size()/2)
		if _, err := s.Put(ctx, key, half, opts); err != nil {
			return backend.Info{}, err
		}
		return s.Put(ctx, key, c, &backend.PutOptions{})
	}
}

// writeAt overwrites what is at the offset.
func writeAt(s backend.Objects) func(context.Context, string, int64, []byte) (backend.Info, error) {
	return func(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
		old := []byte{}
		if o, err := s.Get(ctx, key, &backend.GetOptions{}); err == nil {
			old, _ = io.ReadAll(o.Body)
		}
		if err := ctx.Err(); err != nil {
			return backend.Info{}, err
		}
		grown := make([]byte, max(int64(len(old)), offset+int64(len(data))))
		copy(grown, old)
		copy(grown[offset:], data)
		return s.Put(ctx, key, bytes.NewReader(grown), &backend.PutOptions{})
	}
}

// contentETag makes ETags of the bytes alone.
func contentETag(s backend.Objects) func(backend.Info) backend.Info {
	return func(i backend.Info) backend.Info {
		o, err := s.Get(context.Background(), i.Key, &backend.GetOptions{})
		if err == nil {
			hash := fnv.New64()
			_, _ = io.Copy(hash, o.Body)
			i.ETag = backend.ETag(fmt.Sprintf("%x", hash.Sum(nil)))
		}
		return i
	}
}

// liveBody reads whatever the object is now, a few bytes at a time.
type liveBody struct {
	ctx  context.Context
	s    backend.Objects
	key  string
	opts backend.GetOptions
}

func (b *liveBody) Read(p []byte) (int, error) {
	o, err := b.s.Get(b.ctx, b.key, &b.opts)
	if err != nil {
		return 0, io.EOF
	}
	n, err := o.Body.Read(p)
	b.opts.Offset += int64(n)
	if b.opts.Length > 0 {
		if b.opts.Length -= int64(n); b.opts.Length == 0 && err == nil {
			b.opts.Offset = o.Info.Size
		}
	}
	return n, err
}

func (b *liveBody) Close() error { return nil }

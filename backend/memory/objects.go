package memory

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Objects is an object store in memory. It is safe for concurrent use; two
// values share nothing.
type Objects struct {
	mu      sync.RWMutex
	objects map[string]object
	keys    []string // sorted by bytes
	writes  uint64   // gives the ETags
	feed    feed
}

// object is one state of an object. Its bytes never change: Append only ever
// writes behind the end of what earlier readers hold.
type object struct {
	data     []byte
	etag     backend.ETag
	modified time.Time
}

var (
	_ backend.Objects    = (*Objects)(nil)
	_ backend.ChangeFeed = (*Objects)(nil)
)

// NewObjects gives an empty object store.
func NewObjects() *Objects {
	return &Objects{objects: map[string]object{}, feed: feed{id: rand.Text()}}
}

// Get opens the object or a range of it. Errors: ErrNotFound, ErrInvalid when
// the offset is beyond the end.
func (s *Objects) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("get %q: %w", key, err)
	}
	s.mu.RLock()
	o, ok := s.objects[key]
	s.mu.RUnlock()
	if !ok {
		return nil, notFound(key)
	}
	size := int64(len(o.data))
	if opts.Offset < 0 || opts.Offset > size {
		return nil, fmt.Errorf("%w: offset %d is outside of object %q of %d bytes", azml.ErrInvalid, opts.Offset, key, size)
	}
	data := o.data[opts.Offset:]
	if opts.Length > 0 && opts.Length < int64(len(data)) {
		data = data[:opts.Length]
	}
	body := &body{ctx: ctx, r: bytes.NewReader(data)}
	return &backend.Object{Info: o.info(key), Body: body}, nil
}

// Put stores the content as the whole object. Errors: ErrExists, ErrConflict,
// ErrInvalid when the content can't be read to its end.
func (s *Objects) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if err := ctx.Err(); err != nil {
		return backend.Info{}, fmt.Errorf("put %q: %w", key, err)
	}
	data := make([]byte, content.Size())
	if n, err := content.ReadAt(data, 0); n < len(data) {
		return backend.Info{}, fmt.Errorf("%w: reading the content of %q: %w", azml.ErrInvalid, key, err)
	}
	if err := opts.Wait(); err != nil {
		return backend.Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.objects[key]
	switch {
	case opts.IfNoneMatch && ok:
		return backend.Info{}, fmt.Errorf("%w: object %q", azml.ErrExists, key)
	case opts.IfMatch != "" && (!ok || old.etag != opts.IfMatch):
		return backend.Info{}, changed(key)
	}
	return s.set(key, data), nil
}

// Append adds data at the end, at offset 0 it creates the object. It works on
// objects that Put made, too. Errors: ErrConflict.
func (s *Objects) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	if err := ctx.Err(); err != nil {
		return backend.Info{}, fmt.Errorf("append to %q: %w", key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.objects[key]
	if int64(len(old.data)) != offset {
		return backend.Info{}, fmt.Errorf("%w: object %q has %d bytes, not %d", azml.ErrConflict, key, len(old.data), offset)
	}
	return s.set(key, append(old.data, data...)), nil
}

// Stat describes the object. Errors: ErrNotFound.
func (s *Objects) Stat(ctx context.Context, key string) (backend.Info, error) {
	if err := ctx.Err(); err != nil {
		return backend.Info{}, fmt.Errorf("stat %q: %w", key, err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	o, ok := s.objects[key]
	if !ok {
		return backend.Info{}, notFound(key)
	}
	return o.info(key), nil
}

// Delete removes the object. Errors: ErrNotFound, ErrConflict.
func (s *Objects) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete %q: %w", key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.objects[key]
	switch {
	case !ok:
		return notFound(key)
	case opts.IfMatch != "" && old.etag != opts.IfMatch:
		return changed(key)
	}
	s.remove(key)
	return nil
}

func (o object) info(key string) backend.Info {
	return backend.Info{Key: key, Size: int64(len(o.data)), ETag: o.etag, Modified: o.modified}
}

func notFound(key string) error {
	return fmt.Errorf("%w: object %q", azml.ErrNotFound, key)
}

func changed(key string) error {
	return fmt.Errorf("%w: object %q was changed or deleted since it was read", azml.ErrConflict, key)
}

func (s *Objects) nextETag() backend.ETag {
	s.writes++
	return backend.ETag(strconv.FormatUint(s.writes, 16))
}

// body is an opened object that heeds the context it was opened with.
type body struct {
	ctx context.Context
	r   io.Reader
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.r.Read(p)
}

func (b *body) Close() error { return nil }

package localfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Get opens the object or a range of it. The open file keeps its bytes when
// the object is replaced or deleted, and what is appended later is not read.
// Errors: ErrNotFound, ErrInvalid, ErrDenied, ErrUnavailable, ErrClosed.
func (s *Store) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	o, err := s.get(ctx, key, opts)
	if err != nil {
		return nil, fail("get", key, err)
	}
	return o, nil
}

func (s *Store) get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := s.root.OpenFile(objectPath(key), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err == nil && (opts.Offset < 0 || opts.Offset > fi.Size()) {
		err = fmt.Errorf("%w: offset %d is outside of object %q of %d bytes", azml.ErrInvalid, opts.Offset, key, fi.Size())
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	n := fi.Size() - opts.Offset
	if opts.Length > 0 {
		n = min(n, opts.Length)
	}
	b := &body{ctx: ctx, key: key, f: f, offset: opts.Offset, left: n}
	return &backend.Object{Info: infoOf(key, fi), Body: b}, nil
}

// body is a range of an opened file.
type body struct {
	ctx          context.Context
	key          string
	f            *os.File
	offset, left int64
}

func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if err := b.ctx.Err(); err != nil {
		return 0, fail("read", b.key, err)
	}
	n, err := b.f.ReadAt(p[:min(int64(len(p)), b.left)], b.offset)
	b.offset += int64(n)
	b.left -= int64(n)
	switch {
	case errors.Is(err, io.EOF) && b.left > 0: // the tail was of an Append that failed
		err = fmt.Errorf("%w: object %q was cut back while it was read", azml.ErrUnavailable, b.key)
	case errors.Is(err, io.EOF):
		err = nil
	case err != nil:
		err = fail("read", b.key, err)
	}
	return n, err
}

func (b *body) Close() error { return b.f.Close() }

// Stat describes the object. Errors: ErrNotFound, ErrDenied, ErrUnavailable,
// ErrClosed.
func (s *Store) Stat(ctx context.Context, key string) (backend.Info, error) {
	err := ctx.Err()
	if err == nil {
		var fi fs.FileInfo
		if fi, err = s.stat(key); err == nil {
			return infoOf(key, fi), nil
		}
	}
	return backend.Info{}, fail("stat", key, err)
}

func (s *Store) stat(key string) (fs.FileInfo, error) {
	fi, err := s.root.Lstat(objectPath(key))
	if err == nil && !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a file: %w", objectPath(key), fs.ErrNotExist)
	}
	return fi, err
}

package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Get opens a file, or a range of it. From a server that knows no ranges the
// whole is read up to the end of the range. Errors: ErrNotFound, ErrDenied,
// ErrInvalid for an offset beyond the end.
func (s *Store) Get(ctx context.Context, path string, opts *backend.GetOptions) (*backend.Object, error) {
	u, err := s.where(path)
	if err != nil {
		return nil, err
	}
	if opts.Offset < 0 {
		return nil, fmt.Errorf("%w: offset %d", azml.ErrInvalid, opts.Offset)
	}
	header := http.Header{}
	if ranged := rangeOf(opts); ranged != "" {
		header.Set("Range", ranged)
	}
	response, err := s.ask(ctx, http.MethodGet, u, header)
	if errors.Is(err, azml.ErrInvalid) && header.Get("Range") != "" {
		return s.atEnd(ctx, path, opts.Offset, err)
	}
	if err != nil {
		return nil, err
	}
	object := &backend.Object{Info: describe(path, response), Body: streamed{ctx, response.Body}}
	if response.StatusCode == http.StatusPartialContent {
		if object.Info.Size, err = checkRange(response.Header.Get("Content-Range"), opts.Offset); err != nil {
			return nil, errors.Join(err, object.Body.Close())
		}
		return object, nil
	}
	return object, cut(object, opts)
}

// rangeOf gives the header for a range, "" for the whole.
func rangeOf(opts *backend.GetOptions) string {
	switch {
	case opts.Length > 0:
		return fmt.Sprintf("bytes=%d-%d", opts.Offset, opts.Offset+opts.Length-1)
	case opts.Offset > 0:
		return fmt.Sprintf("bytes=%d-", opts.Offset)
	}
	return ""
}

// checkRange reads the header of a range that was sent, and gives the size of
// the whole, -1 when the server doesn't tell.
func checkRange(text string, offset int64) (int64, error) {
	var first, last int64
	_, total, _ := strings.Cut(text, "/")
	if n, err := fmt.Sscanf(text, "bytes %d-%d/", &first, &last); n != 2 || first != offset {
		return 0, fmt.Errorf("%w: the server was asked for bytes from %d on and sends %.100q (%w)", azml.ErrUnavailable, offset, text, err)
	}
	if total == "*" {
		return -1, nil
	}
	size, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: the server's Content-Range is %.100q", azml.ErrUnavailable, text)
	}
	return size, nil
}

// atEnd gives the empty range behind a file of that size, for which there is no
// request; refused is the server's answer to the one that was sent.
func (s *Store) atEnd(ctx context.Context, path string, offset int64, refused error) (*backend.Object, error) {
	info, err := s.Stat(ctx, path)
	if err != nil {
		return nil, err
	}
	if offset != info.Size {
		return nil, refused
	}
	return &backend.Object{Info: info, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// cut makes a range of a whole file.
func cut(object *backend.Object, opts *backend.GetOptions) error {
	if opts.Offset > 0 {
		if n, err := io.CopyN(io.Discard, object.Body, opts.Offset); errors.Is(err, io.EOF) {
			return errors.Join(fmt.Errorf("%w: offset %d of a file of %d bytes", azml.ErrInvalid, opts.Offset, n), object.Body.Close())
		} else if err != nil {
			return errors.Join(err, object.Body.Close())
		}
	}
	if opts.Length > 0 {
		object.Body = limited{io.LimitReader(object.Body, opts.Length), object.Body}
	}
	return nil
}

// limited is the beginning of a body.
type limited struct {
	io.Reader
	io.Closer
}

// streamed gives errors of reading a body their class.
type streamed struct {
	ctx context.Context //nolint:containedctx // that of the request
	io.ReadCloser
}

// Read implements io.Reader.
func (b streamed) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fail(b.ctx, err)
	}
	return n, err
}

// Stat describes a file. A server that refuses HEAD is asked for the first byte.
// Errors: ErrNotFound, ErrDenied.
func (s *Store) Stat(ctx context.Context, path string) (backend.Info, error) {
	u, err := s.where(path)
	if err != nil {
		return backend.Info{}, err
	}
	response, err := s.ask(ctx, http.MethodHead, u, nil)
	if errors.Is(err, azml.ErrUnsupported) || err == nil && response.ContentLength < 0 {
		if err == nil {
			_ = response.Body.Close() // it has none
		}
		object, err := s.Get(ctx, path, &backend.GetOptions{Length: 1})
		if err != nil {
			return backend.Info{}, err
		}
		return object.Info, object.Body.Close()
	}
	if err != nil {
		return backend.Info{}, err
	}
	return describe(path, response), response.Body.Close()
}

// describe gives what an answer says of a file. Where there is no ETag, the time
// and the size stand in for it.
func describe(path string, response *http.Response) backend.Info {
	info := backend.Info{Key: path, Size: response.ContentLength, ETag: backend.ETag(response.Header.Get("ETag"))}
	if at, err := http.ParseTime(response.Header.Get("Last-Modified")); err == nil {
		info.Modified = at.UTC()
	}
	if info.ETag == "" && !info.Modified.IsZero() {
		info.ETag = backend.ETag(strconv.FormatInt(info.Modified.Unix(), 16))
	}
	return info
}

// Put gives ErrUnsupported.
func (*Store) Put(context.Context, string, backend.Content, *backend.PutOptions) (backend.Info, error) {
	return backend.Info{}, fmt.Errorf("%w: web servers are only read", azml.ErrUnsupported)
}

// Delete gives ErrUnsupported.
func (*Store) Delete(context.Context, string, *backend.DeleteOptions) error {
	return fmt.Errorf("%w: web servers are only read", azml.ErrUnsupported)
}

// List gives ErrUnsupported.
func (*Store) List(context.Context, *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		yield(backend.Info{}, fmt.Errorf("%w: a web server can't be listed: name the files", azml.ErrUnsupported))
	}
}

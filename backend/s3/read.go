package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Get opens an object or a range of it. Errors: ErrNotFound, ErrInvalid for an
// offset beyond the end.
func (s *Store) Get(ctx context.Context, path string, opts *backend.GetOptions) (*backend.Object, error) {
	if opts.Offset < 0 {
		return nil, fmt.Errorf("%w: offset %d", azml.ErrInvalid, opts.Offset)
	}
	var get minio.GetObjectOptions
	if opts.Offset > 0 || opts.Length > 0 {
		last := int64(0)
		if opts.Length > 0 {
			last = opts.Offset + opts.Length - 1
		}
		if opts.Offset == 0 && last == 0 {
			get.Set("Range", "bytes=0-0") // which SetRange would take for the whole
		} else if err := get.SetRange(opts.Offset, last); err != nil {
			return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
		}
	}
	body, info, header, err := s.client.GetObject(ctx, s.bucket, s.prefix+path, get)
	if err != nil {
		if minio.ToErrorResponse(err).Code == "InvalidRange" {
			return s.atEnd(ctx, path, opts.Offset)
		}
		return nil, s.fail(ctx, err)
	}
	object := &backend.Object{Info: s.info(info), Body: streamed{body, s, ctx}}
	if object.Info.Size, err = wholeSize(header, info.Size); err != nil {
		return nil, errors.Join(err, body.Close())
	}
	return object, nil
}

// atEnd gives the empty range behind an object of that size, for which there is
// no request.
func (s *Store) atEnd(ctx context.Context, path string, offset int64) (*backend.Object, error) {
	info, err := s.Stat(ctx, path)
	if err != nil {
		return nil, err
	}
	if offset > info.Size {
		return nil, fmt.Errorf("%w: offset %d of a file of %d bytes", azml.ErrInvalid, offset, info.Size)
	}
	return &backend.Object{Info: info, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// wholeSize gives the size of the object of which a range was sent.
func wholeSize(header http.Header, sent int64) (int64, error) {
	ranged := header.Get("Content-Range")
	if ranged == "" {
		return sent, nil
	}
	_, total, _ := strings.Cut(ranged, "/")
	size, err := strconv.ParseInt(total, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: the server's Content-Range is %.100q", azml.ErrUnavailable, ranged)
	}
	return size, nil
}

// streamed gives errors of reading a body their class.
type streamed struct {
	io.ReadCloser
	s   *Store
	ctx context.Context //nolint:containedctx // that of the request
}

// Read implements io.Reader.
func (b streamed) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.s.fail(b.ctx, err)
	}
	return n, err
}

// Stat describes an object. Errors: ErrNotFound.
func (s *Store) Stat(ctx context.Context, path string) (backend.Info, error) {
	info, err := s.client.StatObject(ctx, s.bucket, s.prefix+path, minio.StatObjectOptions{})
	if err != nil {
		return backend.Info{}, s.fail(ctx, err)
	}
	return s.info(info), nil
}

// info describes an object. S3 makes a new object with each write.
func (s *Store) info(object minio.ObjectInfo) backend.Info {
	at := object.LastModified.UTC()
	return backend.Info{Key: strings.TrimPrefix(object.Key, s.prefix), Size: object.Size, ETag: backend.ETag(object.ETag), Modified: at, Created: at}
}

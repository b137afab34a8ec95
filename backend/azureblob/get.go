package azureblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// maxBreaks is how often in a row a body may break without a byte of progress.
const maxBreaks = 5

// Get opens the object. A body that breaks goes on by itself, as long as the
// object is the same; else reading ends with ErrConflict.
func (s *Store) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	name, err := s.name(key)
	if err != nil {
		return nil, err
	}
	if opts.Offset < 0 {
		return nil, fmt.Errorf("%w: get %q: offset %d is before its beginning", azml.ErrInvalid, key, opts.Offset)
	}
	b := &body{ctx: ctx, store: s, client: s.client.NewBlobClient(name), offset: opts.Offset}
	b.info.Key = key
	whole := opts.Offset == 0 && opts.Length == 0
	b.r, err = b.open(opts.Length)
	switch {
	case status(err) == http.StatusRequestedRangeNotSatisfiable && !whole:
		return s.atEnd(ctx, key, name, opts.Offset)
	case err != nil:
		return nil, s.explain(ctx, "get", key, err)
	}
	return &backend.Object{Info: b.info, Body: b}, nil
}

// atEnd gives the empty rest of an object that ends at offset. Of one that is
// longer now, this is what was there when it was asked for.
func (s *Store) atEnd(ctx context.Context, key, name string, offset int64) (*backend.Object, error) {
	info, _, err := s.head(ctx, key, name)
	if err != nil {
		return nil, s.explain(ctx, "get", key, err)
	}
	if offset > info.Size {
		return nil, fmt.Errorf("%w: get %q: offset %d is beyond its end at %d", azml.ErrInvalid, key, offset, info.Size)
	}
	info.Size = offset
	return &backend.Object{Info: info, Body: http.NoBody}, nil
}

// body reads a range of a blob and opens the rest again when it breaks.
type body struct {
	ctx          context.Context //nolint:containedctx // of the Get that this is the answer to
	store        *Store
	client       *blob.Client
	info         backend.Info
	r            io.ReadCloser // nil when it broke
	offset, left int64
	breaks       int // in a row
}

// open asks for length bytes from the offset on, 0 meaning all. The first answer
// says what the blob is; later ones must be of the same.
func (b *body) open(length int64) (io.ReadCloser, error) {
	answer, err := b.client.DownloadStream(b.ctx, &blob.DownloadStreamOptions{
		Range: blob.HTTPRange{Offset: b.offset, Count: length}, AccessConditions: ifMatch(b.info.ETag)})
	if err != nil {
		return nil, err
	}
	size := value(answer.ContentLength)
	if b.info.ETag == "" {
		b.left = size
		b.info = describe(b.info.Key, answer.ETag, answer.LastModified, b.offset+size)
		b.info.Created = value(answer.CreationTime).UTC()
		if _, total, ok := strings.Cut(value(answer.ContentRange), "/"); ok {
			if b.info.Size, err = strconv.ParseInt(total, 10, 64); err != nil {
				return nil, errors.Join(fmt.Errorf("the range %q of the answer: %w", *answer.ContentRange, err), answer.Body.Close())
			}
		}
	}
	return answer.Body, nil
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (n int, err error) {
	for n == 0 && len(p) > 0 {
		if b.left == 0 {
			return 0, io.EOF
		}
		if n, err = b.readOnce(p[:min(int64(len(p)), b.left)]); err != nil {
			return 0, b.store.explain(b.ctx, "read", b.info.Key, err)
		}
	}
	return n, nil
}

// readOnce reads what comes next. No bytes without an error mean that the body
// broke.
func (b *body) readOnce(p []byte) (n int, err error) {
	if b.r == nil {
		if b.r, err = b.open(b.left); err != nil {
			return 0, b.changed(err)
		}
	}
	n, err = b.r.Read(p)
	b.offset, b.left = b.offset+int64(n), b.left-int64(n)
	if n > 0 {
		b.breaks = 0
	}
	if err == nil || b.left == 0 {
		return n, nil
	}
	_ = b.Close()
	if b.ctx.Err() != nil {
		return n, err
	}
	if b.breaks++; b.breaks > maxBreaks {
		return n, fmt.Errorf("%w: it broke %d times at %d, %d bytes early: %w", azml.ErrUnavailable, b.breaks, b.offset, b.left, failure(err))
	}
	return n, nil
}

// changed makes a conflict of the answers of a blob that isn't the same.
func (b *body) changed(err error) error {
	switch status(err) {
	case http.StatusNotFound: // which is also said, for who knows what has come in its place
		return fmt.Errorf("%w: it is gone since its body broke: %w", azml.ErrConflict, azml.ErrNotFound)
	case http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("%w: it was changed since its body broke: read it again", azml.ErrConflict)
	}
	return err
}

// Close implements io.Closer.
func (b *body) Close() error {
	if b.r == nil {
		return nil
	}
	r := b.r
	b.r = nil
	return r.Close()
}

package retrying

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// body reads a range of an object and opens the rest again when it breaks.
type body struct {
	o            *Objects
	ctx          context.Context
	info         backend.Info
	r            io.ReadCloser // nil after it broke
	offset, left int64
}

func (b *body) Read(p []byte) (n int, err error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	err = b.o.do(b.ctx, "read", b.info.Key, func() (err error) {
		n, err = b.readOnce(p)
		return err
	})
	return n, err
}

func (b *body) readOnce(p []byte) (int, error) {
	if b.r == nil {
		if err := b.reopen(); err != nil {
			return 0, err
		}
	}
	n, err := b.r.Read(p)
	b.offset += int64(n)
	b.left -= int64(n)
	if errors.Is(err, io.EOF) && b.left > 0 {
		err = fmt.Errorf("%w: the body of %q ended at %d, %d bytes early", azml.ErrUnavailable, b.info.Key, b.offset, b.left)
	}
	if err == nil {
		return n, nil
	}
	if errors.Is(err, azml.ErrUnavailable) {
		_ = b.Close()
	}
	if n > 0 { // hand these out; the error, if it lasts, comes again
		return n, nil
	}
	return n, err
}

// reopen opens what is left of the range, if the object is still the same.
func (b *body) reopen() error {
	object, err := b.o.inner.Get(b.ctx, b.info.Key, &backend.GetOptions{Offset: b.offset, Length: max(0, b.left)})
	if errors.Is(err, azml.ErrNotFound) { // which is also said, for who knows what has come in its place
		return fmt.Errorf("%w: object %q is gone since its body broke: %w", azml.ErrConflict, b.info.Key, err)
	}
	if errors.Is(err, azml.ErrInvalid) {
		return fmt.Errorf("%w: object %q is shorter since its body broke: %s", azml.ErrConflict, b.info.Key, err.Error())
	}
	if err != nil {
		return err
	}
	if object.Info.ETag != b.info.ETag {
		_ = object.Body.Close()
		return fmt.Errorf("%w: object %q was changed since its body broke: read it again", azml.ErrConflict, b.info.Key)
	}
	b.r = object.Body
	return nil
}

func (b *body) Close() error {
	if b.r == nil {
		return nil
	}
	r := b.r
	b.r = nil
	return r.Close()
}

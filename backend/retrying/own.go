package retrying

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// ownPut looks whether the object holds the content that an earlier try may
// have written; if not, the answer stays refusal.
func (o *Objects) ownPut(ctx context.Context, key string, content backend.Content, refusal error) (backend.Info, error) {
	return o.compare(ctx, key, &backend.GetOptions{}, refusal, func(info backend.Info) backend.Content {
		if info.Size != content.Size() {
			return nil
		}
		return content
	})
}

// ownAppend looks whether the object has data at the offset. Others may have
// appended behind it since.
func (o *Objects) ownAppend(ctx context.Context, key string, offset int64, data []byte, refusal error) (backend.Info, error) {
	opts := &backend.GetOptions{Offset: offset, Length: int64(len(data))}
	return o.compare(ctx, key, opts, refusal, func(info backend.Info) backend.Content {
		if info.Size < offset+int64(len(data)) {
			return nil
		}
		return bytes.NewReader(data)
	})
}

// compare reads a range of the object and compares it with what wanted gives
// for it, nil meaning that it can't be the same.
func (o *Objects) compare(ctx context.Context, key string, opts *backend.GetOptions, refusal error, wanted func(backend.Info) backend.Content) (backend.Info, error) {
	object, err := o.inner.Get(ctx, key, opts)
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid) {
		return backend.Info{}, refusal
	}
	if err != nil {
		return backend.Info{}, err
	}
	defer object.Body.Close()
	content := wanted(object.Info)
	if content == nil {
		return backend.Info{}, refusal
	}
	same, err := sameBytes(object.Body, content)
	switch {
	case err != nil:
		return backend.Info{}, err
	case !same:
		return backend.Info{}, refusal
	}
	return object.Info, nil
}

// sameBytes compares as many bytes as content has.
func sameBytes(r io.Reader, content backend.Content) (bool, error) {
	size := content.Size()
	got, want := make([]byte, min(size, 1<<20)), make([]byte, min(size, 1<<20))
	for offset := int64(0); offset < size; {
		n := min(size-offset, int64(len(got)))
		if _, err := io.ReadFull(r, got[:n]); err != nil {
			return false, err
		}
		if m, err := content.ReadAt(want[:n], offset); int64(m) < n {
			return false, err
		}
		if !bytes.Equal(got[:n], want[:n]) {
			return false, nil
		}
		offset += n
	}
	return true, nil
}

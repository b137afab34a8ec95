package localfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Append adds data at the end, in place, and returns when it is durable: one
// sync, two when it creates the object. It works on objects that Put made,
// too. An Append that fails leaves the old size; the package comment says what
// a crash may leave. Errors: ErrConflict, ErrDenied, ErrUnavailable, ErrClosed.
func (s *Store) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	fi, err := s.append(ctx, key, offset, data)
	if err != nil {
		return backend.Info{}, fail("append to", key, err)
	}
	return infoOf(key, fi), nil
}

func (s *Store) append(ctx context.Context, key string, offset int64, data []byte) (fs.FileInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, err := s.lock(ctx, key)
	if err != nil {
		return nil, err
	}
	defer l.unlock()
	fi, err := s.stat(key)
	switch {
	case err == nil:
		return s.grow(ctx, key, fi, offset, data)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case offset != 0:
		return nil, wrongOffset(key, 0, offset)
	}
	return s.start(ctx, key, data)
}

// start makes the object, as Put does, so that its first bytes are never torn.
// The caller holds the lock.
func (s *Store) start(ctx context.Context, key string, data []byte) (fs.FileInfo, error) {
	t, err := s.writeTemp(ctx, contentOf(data))
	if err != nil {
		return nil, err
	}
	defer t.discard()
	fi, err := t.finish(s.stampNew(key))
	if err != nil {
		return nil, err
	}
	return fi, s.move(ctx, key, t)
}

// grow writes at the end of the object. The caller holds the lock.
func (s *Store) grow(ctx context.Context, key string, before fs.FileInfo, offset int64, data []byte) (fs.FileInfo, error) {
	if before.Size() != offset {
		return nil, wrongOffset(key, before.Size(), offset)
	}
	name := objectPath(key)
	f, err := s.root.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err = s.announce(ctx, key); err != nil {
		return nil, err
	}
	if err = ctx.Err(); err != nil {
		return nil, err
	}
	fi, err := s.writeEnd(key, f, before, data)
	if err != nil {
		return nil, errors.Join(err, f.Truncate(offset), f.Sync())
	}
	return fi, nil
}

func (s *Store) writeEnd(key string, f *os.File, before fs.FileInfo, data []byte) (fs.FileInfo, error) {
	if _, err := f.WriteAt(data, before.Size()); err != nil {
		return nil, err
	}
	// Whoever looked between the write and the stamp saw the kernel's time, so
	// that is a floor, too.
	written, err := f.Stat()
	if err != nil {
		return nil, err
	}
	fi, err := s.stampNew(key, before.ModTime(), written.ModTime())(f, objectPath(key))
	if err != nil {
		return nil, err
	}
	return fi, f.Sync()
}

func wrongOffset(key string, size, offset int64) error {
	return fmt.Errorf("%w: object %q has %d bytes, not %d", azml.ErrConflict, key, size, offset)
}

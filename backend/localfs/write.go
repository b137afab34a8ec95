package localfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Put stores the content as the whole object and returns when it is durable:
// two syncs, more when folders are new. It waits for the lock of the key's
// shard, which creating holds for microseconds only, but for where neither renames
// to free names nor links work. Errors: ErrExists,
// ErrConflict, ErrInvalid when the content can't be read to its end,
// ErrDenied, ErrUnavailable (such as a full disk), ErrClosed.
func (s *Store) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	fi, err := s.put(ctx, key, content, opts)
	if err != nil {
		return backend.Info{}, fail("put", key, err)
	}
	return infoOf(key, fi), nil
}

func (s *Store) put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (fs.FileInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// A Put that loses must be cheap, so look before writing a byte.
	if _, err := s.check(key, opts); err != nil {
		return nil, err
	}
	t, err := s.writeTemp(ctx, content)
	if err != nil {
		return nil, err
	}
	defer t.discard()
	if opts.IfNoneMatch && !s.locked.Load() {
		fi, err := s.create(ctx, key, t, opts)
		if err == nil || !noLinks(err) {
			return fi, err
		}
		s.locked.Store(true)
		return s.put(ctx, key, content, opts)
	}
	if err := opts.Wait(); err != nil { // without the lock, which others may need for what is waited for
		return nil, err
	}
	return s.replace(ctx, key, t, opts)
}

// check tells whether the object's state is what the options ask for, and
// gives its modification time, zero when it is not there.
func (s *Store) check(key string, opts *backend.PutOptions) (time.Time, error) {
	fi, err := s.stat(key)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return time.Time{}, err
	case err != nil && opts.IfMatch != "":
		return time.Time{}, fmt.Errorf("%w: object %q was deleted since it was read", azml.ErrConflict, key)
	case err != nil:
		return time.Time{}, nil
	case opts.IfNoneMatch:
		return time.Time{}, fmt.Errorf("%w: object %q", azml.ErrExists, key)
	case opts.IfMatch != "" && opts.IfMatch != etagOf(fi):
		return time.Time{}, changed(key)
	}
	return fi.ModTime(), nil
}

func changed(key string) error {
	return fmt.Errorf("%w: object %q was changed since it was read", azml.ErrConflict, key)
}

// create gives the temporary file its name, which must be free. The lock is that of the
// announcement; the ETag needs none: had another process created and deleted
// the key since the file was stamped, its file was either there together with
// ours, so has another inode, or was gone before ours was made, so its time is
// among those that ours is set after. The file is durable before what it has to
// come after is waited for.
func (s *Store) create(ctx context.Context, key string, t *temp, opts *backend.PutOptions) (fs.FileInfo, error) {
	to := objectPath(key)
	folder := s.makeFolder(path.Dir(to))
	fi, err := t.finish(s.stampNew(key))
	if err = errors.Join(err, folder()); err == nil {
		err = opts.Wait()
	}
	if err == nil {
		err = s.place(ctx, key, t, to)
	}
	if err != nil {
		s.prune(path.Dir(to))
		return nil, err
	}
	return fi, syncFolder(s.root, path.Dir(to))
}

// place makes the finished file the object at to, under the key's lock.
func (s *Store) place(ctx context.Context, key string, t *temp, to string) error {
	l, err := s.lock(ctx, key)
	if err != nil {
		return err
	}
	defer l.unlock()
	if err := s.announce(ctx, key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err = s.withFolders(to, func() (err error) {
		t.moved, err = s.root.Place(t.path, to)
		return err
	})
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: object %q", azml.ErrExists, key)
	}
	return err
}

// stampNew sets times after all that the key can have had before.
func (s *Store) stampNew(key string, floors ...time.Time) stampFunc {
	return func(f *os.File, name string) (fs.FileInfo, error) {
		floor, err := s.deleted(key)
		if err != nil {
			return nil, err
		}
		return s.stamp(f, name, append(floors, floor)...)
	}
}

// replace renames the temporary file into place under the key's lock.
func (s *Store) replace(ctx context.Context, key string, t *temp, opts *backend.PutOptions) (fs.FileInfo, error) {
	l, err := s.lock(ctx, key)
	if err != nil {
		return nil, err
	}
	defer l.unlock()
	before, err := s.check(key, opts)
	if err != nil {
		return nil, err
	}
	fi, err := t.finish(s.stampNew(key, before))
	if err != nil {
		return nil, err
	}
	return fi, s.move(ctx, key, t)
}

// move renames the temporary file, durably. The caller holds the lock.
func (s *Store) move(ctx context.Context, key string, t *temp) error {
	if err := s.announce(ctx, key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	to := objectPath(key)
	if err := s.withFolders(to, func() error { return s.root.Rename(t.path, to) }); err != nil {
		s.prune(path.Dir(to))
		return err
	}
	t.moved = true
	return syncFolder(s.root, path.Dir(to))
}

// Delete removes the object and the folders that it leaves empty, and returns
// when that is durable. Errors: ErrNotFound, ErrConflict, ErrDenied,
// ErrUnavailable, ErrClosed.
func (s *Store) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	if err := s.delete(ctx, key, opts); err != nil {
		return fail("delete", key, err)
	}
	return nil
}

func (s *Store) delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := s.stat(key); err != nil {
		return err
	}
	l, err := s.lock(ctx, key)
	if err != nil {
		return err
	}
	defer l.unlock()
	fi, err := s.stat(key)
	if err != nil {
		return err
	}
	if opts.IfMatch != "" && opts.IfMatch != etagOf(fi) {
		return changed(key)
	}
	if err = s.remember(l, fi.ModTime()); err != nil {
		return err
	}
	if err = s.announce(ctx, key); err != nil {
		return err
	}
	name := objectPath(key)
	if err = s.root.Remove(name); err != nil {
		return err
	}
	err = syncFolder(s.root, path.Dir(name))
	s.prune(path.Dir(name))
	return err
}

// contentOf makes a Content of bytes.
func contentOf(data []byte) backend.Content { return bytes.NewReader(data) }

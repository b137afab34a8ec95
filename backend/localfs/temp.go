package localfs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// temp is a temporary file that becomes an object by a rename or a link.
type temp struct {
	store *Store
	path  string
	f     *os.File
	moved bool
}

// writeTemp writes the content to a new temporary file, not yet synced. The
// caller discards it.
func (s *Store) writeTemp(ctx context.Context, content backend.Content) (*temp, error) {
	t := &temp{store: s, path: tempDir + "/" + rand.Text()}
	err := s.withFolders(t.path, func() (err error) {
		t.f, err = s.root.OpenFile(t.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err = s.copyContent(ctx, t.f, content); err != nil {
		t.discard()
		return nil, err
	}
	return t, nil
}

// finish makes the file durable under a modification time after the floors.
func (t *temp) finish(st stampFunc) (fs.FileInfo, error) {
	fi, err := st(t.f, t.path)
	if err != nil {
		return nil, err
	}
	if err = t.f.Sync(); err != nil {
		return nil, err
	}
	return fi, t.f.Close()
}

// stampFunc sets the modification time of an opened file, whose path is name.
type stampFunc func(f *os.File, name string) (fs.FileInfo, error)

// discard removes the file unless it was renamed away.
func (t *temp) discard() {
	_ = t.f.Close() // closed already when finished
	if !t.moved {
		_ = t.store.root.Remove(t.path) // what stays is swept an hour later
	}
}

// copyBlock is how much of a content is written at once.
const copyBlock = 1 << 20

// copyContent writes content to f, a block at a time so that it can be
// cancelled.
func (s *Store) copyContent(ctx context.Context, f *os.File, content backend.Content) error {
	size := content.Size()
	var block []byte
	if size < copyBlock {
		block = make([]byte, size)
	} else {
		lent := s.blocks.Get().(*[]byte)
		defer s.blocks.Put(lent)
		block = *lent
	}
	for offset := int64(0); offset < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(size-offset, int64(len(block)))
		got, err := content.ReadAt(block[:n], offset)
		if int64(got) < n {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("%w: reading the content at %d: %w", azml.ErrInvalid, offset, err)
		}
		if _, err = f.Write(block[:n]); err != nil {
			return err
		}
		offset += n
	}
	return nil
}

// withFolders runs op, which makes a name, and makes the folders on the way
// when they are missing: at first, or again because a Delete beside us has
// just removed the last file in them.
func (s *Store) withFolders(name string, op func() error) error {
	err := op()
	for try := 0; errors.Is(err, fs.ErrNotExist); try++ {
		if _, gone := os.Lstat(s.dir); gone != nil || try == 1000 {
			return fmt.Errorf("%w: the store's folder %q is gone or changes all the time: %w", azml.ErrUnavailable, s.dir, err)
		}
		if err = s.mkdirs(path.Dir(name)); err == nil {
			err = op()
		}
	}
	return err
}

// makeFolder makes a folder that is going to be needed, unless it is there or
// those above it are not. The function that it gives returns when the folder is
// durable, which takes as long as making the file durable that goes there.
func (s *Store) makeFolder(dir string) (durable func() error) {
	if s.root.Mkdir(dir, 0o700) != nil {
		return func() error { return nil } // what is in the way will be met again
	}
	synced := make(chan error, 1)
	go func() { synced <- syncFolder(s.root, path.Dir(dir)) }()
	return func() error { return <-synced }
}

// mkdirs makes the folder and those above it, durably.
func (s *Store) mkdirs(dir string) error {
	err := s.root.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) && dir != "." {
		if err = s.mkdirs(path.Dir(dir)); err != nil {
			return err
		}
		err = s.root.Mkdir(dir, 0o700)
	}
	if errors.Is(err, fs.ErrExist) || dir == "." {
		return nil
	}
	if err != nil {
		return err
	}
	return syncFolder(s.root, path.Dir(dir))
}

// prune removes the folder and those above it as long as they are empty.
func (s *Store) prune(dir string) {
	for dir != "." && s.root.Remove(dir) == nil {
		dir = path.Dir(dir)
	}
}

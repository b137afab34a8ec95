package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Type is the type of datastores that are folders.
const Type = "LocalFolder"

// Path names the one fact of a connection: the folder's absolute path.
const Path = "path"

// Driver opens folders as datastores.
type Driver struct{}

// Type gives Type.
func (Driver) Type() string { return Type }

// Open implements backend.DatastoreDriver.
func (Driver) Open(_ context.Context, source backend.DatastoreSource) (backend.Datastore, error) {
	dir := source.Connection[Path]
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("%w: folder %q: name it by its absolute path", azml.ErrInvalid, dir)
	}
	return &Store{dir: filepath.Clean(dir)}, nil
}

// Store is an opened folder. It is safe for concurrent use.
type Store struct {
	dir    string
	closed atomic.Bool
}

// open gives the folder itself, for one operation: one that was kept open would
// go on to be an empty folder when it is deleted, and an old one when a file
// system is mounted anew.
func (s *Store) open(ctx context.Context) (*os.Root, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.closed.Load() {
		return nil, fmt.Errorf("%w: the datastore was closed", azml.ErrClosed)
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		if info, statErr := os.Stat(s.dir); statErr == nil && !info.IsDir() {
			err = fmt.Errorf("%w: %s is no folder", azml.ErrNotFound, s.dir)
		}
		return nil, fail(err)
	}
	return root, nil
}

// Close makes the store refuse to be used.
func (s *Store) Close() error {
	s.closed.Store(true)
	return nil
}

// Check implements backend.Datastore: the folder must be there and readable.
func (s *Store) Check(ctx context.Context) error {
	root, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer root.Close()
	dir, err := root.Open(".")
	if err != nil {
		return fail(err)
	}
	defer dir.Close()
	_, err = dir.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return fail(err)
}

// Create implements backend.DatastoreCreator.
func (s *Store) Create(context.Context) error {
	const mode = 0o777 // what the user's umask leaves of it
	return fail(os.MkdirAll(s.dir, mode))
}

// Stat describes the file. Errors: ErrNotFound.
func (s *Store) Stat(ctx context.Context, path string) (backend.Info, error) {
	root, err := s.open(ctx)
	if err != nil {
		return backend.Info{}, err
	}
	defer root.Close()
	name, err := local(path)
	if err != nil {
		return backend.Info{}, err
	}
	info, err := root.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "stat", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		return backend.Info{}, fail(err)
	}
	return describe(path, info), nil
}

// Delete removes the file, and then the folders that it leaves empty: paths are
// all there is, as in an object store. Errors: ErrNotFound.
func (s *Store) Delete(ctx context.Context, path string, _ *backend.DeleteOptions) error {
	if _, err := s.Stat(ctx, path); err != nil {
		return err
	}
	root, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer root.Close()
	name := filepath.FromSlash(path)
	if err := root.Remove(name); err != nil {
		return fail(err)
	}
	parent := filepath.Dir(name)
	if err := syncDir(root, parent); err != nil {
		return fail(err)
	}
	for ; parent != "."; parent = filepath.Dir(parent) {
		if root.Remove(parent) != nil { // it holds more, or somebody else was faster
			break
		}
	}
	return nil
}

// local gives the path in the file system. A path that would be another one, or
// lead out, is the path of nothing.
func local(path string) (string, error) {
	name, err := filepath.Localize(path)
	if err != nil || path == "." {
		return "", fmt.Errorf("%w: %q can't be the path of a file", azml.ErrNotFound, path)
	}
	return name, nil
}

// describe gives what is known of a file. Its ETag is made of its size and the
// time of its last change, as far as the file system tells it.
func describe(path string, info fs.FileInfo) backend.Info {
	tag := strconv.FormatInt(info.ModTime().UnixNano(), 16) + "-" + strconv.FormatInt(info.Size(), 16)
	return backend.Info{Key: path, Size: info.Size(), Modified: info.ModTime().UTC(), ETag: backend.ETag(tag)}
}

// fail gives an error of the file system its class.
func fail(err error) error {
	switch {
	case err == nil, azml.ClassOf(err) != nil:
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %w", azml.ErrNotFound, err)
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("%w: %w", azml.ErrExists, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", azml.ErrDenied, err)
	case errors.Is(err, fs.ErrClosed):
		return fmt.Errorf("%w: %w", azml.ErrClosed, err)
	}
	return fmt.Errorf("%w: %w", azml.ErrUnavailable, err)
}

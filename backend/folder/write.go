package folder

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Files being written have names of this form, which are never listed.
const (
	tempPrefix = ".azml-"
	tempSuffix = ".tmp"
)

func isTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// Put stores the file, and the folders on the way to it. Errors: ErrExists when
// IfNoneMatch is set and the file is there, and when there is a folder;
// ErrInvalid for a path that the file system can't take.
func (s *Store) Put(ctx context.Context, path string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if err := opts.Wait(); err != nil {
		return backend.Info{}, err
	}
	root, err := s.open(ctx)
	if err != nil {
		return backend.Info{}, err
	}
	defer root.Close()
	name, err := local(path)
	if err != nil || isTemp(filepath.Base(name)) {
		return backend.Info{}, fmt.Errorf("%w: %q can't be the path of a file here", azml.ErrInvalid, path)
	}
	info, err := put(ctx, root, name, content, opts.IfNoneMatch)
	if err != nil {
		return backend.Info{}, fail(err)
	}
	return describe(path, info), nil
}

func put(ctx context.Context, root *os.Root, name string, content backend.Content, create bool) (fs.FileInfo, error) {
	dir := filepath.Dir(name)
	temp, err := makeTemp(root, dir)
	if err != nil {
		return nil, err
	}
	defer root.Remove(temp.Name()) // gone already when it was renamed
	info, err := fill(ctx, temp, content)
	if err != nil {
		return nil, err
	}
	if create {
		err = link(root, temp.Name(), name)
	} else {
		err = root.Rename(temp.Name(), name)
	}
	if err != nil {
		return nil, err
	}
	return info, syncDir(root, dir)
}

// temp is a file being written, with its name within the folder.
type temp struct {
	*os.File
	name string
}

// Name gives the name within the folder.
func (t temp) Name() string { return t.name }

// makeTemp creates a file in the folder, and the folder. A Delete that takes
// the empty folder away in between is made good.
func makeTemp(root *os.Root, dir string) (temp, error) {
	const (
		dirMode, mode = 0o777, 0o666 // what the user's umask leaves of it
		tries         = 100
	)
	name := filepath.Join(dir, tempPrefix+random()+tempSuffix)
	for i := 0; ; i++ {
		file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
		if err == nil || i == tries || !errors.Is(err, fs.ErrNotExist) {
			return temp{file, name}, err
		}
		if err := root.MkdirAll(dir, dirMode); err != nil {
			return temp{}, err
		}
		for parent := dir; parent != "."; { // the new folders' own names
			parent = filepath.Dir(parent)
			if err := syncDir(root, parent); err != nil {
				return temp{}, err
			}
		}
	}
}

// fill writes the content and syncs it.
func fill(ctx context.Context, file temp, content backend.Content) (fs.FileInfo, error) {
	const block = 1 << 20
	size := content.Size()
	var err error
	for offset := int64(0); offset < size && err == nil; offset += block {
		if err = ctx.Err(); err == nil {
			_, err = io.Copy(file, io.NewSectionReader(content, offset, min(block, size-offset)))
		}
	}
	if err == nil {
		err = file.Sync()
	}
	info, statErr := file.Stat()
	if err = errors.Join(err, statErr, file.Close()); err != nil {
		return nil, err
	}
	if info.Size() != size {
		return nil, fmt.Errorf("%w: the content ended after %d of %d bytes", azml.ErrInvalid, info.Size(), size)
	}
	return info, nil
}

// link gives the file its name if nothing has it. Where the file system has no
// links, the name is looked for first, which two writers at once may both do.
func link(root *os.Root, from, to string) error {
	err := root.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := root.Lstat(to); err == nil {
		return &fs.PathError{Op: "create", Path: to, Err: fs.ErrExist}
	}
	return root.Rename(from, to)
}

// syncDir makes names in the folder durable.
func syncDir(root *os.Root, dir string) error {
	if runtime.GOOS == "windows" { // folders can't be synced there
		return nil
	}
	d, err := root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func random() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
